"""Each view at the size of a phone, a laptop and a wall, light and dark: `build/screenshots/VIEW-SIZE-SCHEME.png`, to be looked at.

Each must be free of barriers in both schemes, and nothing may stick out. `-k` chooses views: `python -m pytest -m '' tests/browser/test_views.py -k viewer`.
"""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import FilePayload, expect
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.browser.conftest import OPTIONS
from tests.browser.stage import Site, Visit
from tests.dicom_bytes import CT, dataset, encode
from tests.peer.servers import running, sinogram_command
from tests.ports import free_port

pytestmark = pytest.mark.nightly

SIZES = {"phone": (390, 844), "laptop": (1366, 768), "wall": (2560, 1440)}
SLICES, SIDE = 24, 256
PATIENTS = (
    ("Okafor^Chinedu", "M", "19580311"), ("Lindqvist^Astrid", "F", "19920705"), ("Nakamura^Haruto", "M", "20011224"),
    ("García Márquez^Lucía", "F", "19760130"), ("Schwarzenberger-Kühn^Maximiliane", "F", "19490909"), ("Li^Na", "F", "19881002"),
)  # fmt: skip
STUDIES = (
    ("MR", "Knee left"), ("CT", "Thorax with contrast"), ("DX", "Hand PA"), ("US", "Abdomen"), ("MR", "Head, follow-up"),
)  # fmt: skip
# Real pictures, the newest of the list: file, study, patient (of PATIENTS), label.
PICTURES = (
    ("J2K_pixelrep_mismatch.dcm", "CT head", 1, "urgent"), ("examples_overlay.dcm", "MR abdomen", 0, "research"),
    ("examples_jpeg2k.dcm", "US carotids", 3, ""), ("examples_rgb_color.dcm", "Echocardiography", 4, "teaching"),
    ("JPEG2000.dcm", "Whole body bone scan", 2, ""), ("CT_small.dcm", "CT thorax", 5, "research"), ("MR_small.dcm", "MR spine", 1, ""),
)  # fmt: skip
# The page rests: nothing in sight waits for the server.
_RESTS = """() => !document.querySelector('[aria-busy=true]') && [...document.images].every(image => {
    const {top, bottom} = image.getBoundingClientRect();
    return image.complete || bottom < 0 || top > innerHeight;
})"""


def body(number: int) -> bytes:
    """A slice of somebody made of ellipses: skin, lungs, heart, spine and ribs."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    level = number / SLICES

    def within(center_x: float, center_y: float, width: float, height: float) -> Any:
        return ((x - center_x) / width) ** 2 + ((y - center_y) / height) ** 2 < 1

    values = np.full((SIDE, SIDE), -1000)
    values[within(0, 0, 0.88, 0.62)] = -80
    values[within(0, 0, 0.82, 0.56)] = 45
    for side in (-1, 1):
        values[within(side * 0.42, -0.02, 0.30 - 0.1 * level, 0.42 - 0.12 * level)] = -820
        for rib in range(5):
            angle = rib * 0.6 + level + 0.3
            values[within(side * (0.2 + 0.56 * np.sin(angle)), 0.5 * np.cos(angle), 0.05, 0.03)] = 700
    values[within(0.12, -0.1, 0.24 + 0.06 * np.sin(6 * level), 0.22)] = 130
    values[within(0, 0.36, 0.11, 0.1)] = 900
    values[within(0, 0.36, 0.05, 0.04)] = 40
    values += np.random.default_rng(number).integers(-12, 13, values.shape)
    made = dataset(
        patient=90, instance=number + 1, SOPClassUID=CT, Modality="CT", PatientName="Almeida^Rosa", PatientID="MRN-204417",
        StudyDescription="Thorax with contrast", SeriesDescription="Axial 5 mm", StudyDate="20260214", SeriesDate="20260214",
        ImagePositionPatient=[0, 0, -5 * number], ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[1.6, 1.6],
        SliceThickness="5", FrameOfReferenceUID="2.25.7305.90.9", RescaleIntercept="-1024", RescaleSlope="1", WindowCenter="40",
        WindowWidth="400", Rows=SIDE, Columns=SIDE, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=16,
        BitsStored=16, HighBit=15, PixelRepresentation=0, PixelData=(values + 1024).clip(0).astype("<u2").tobytes(),
    )  # fmt: skip
    return encode(made)


def one_of_many(number: int) -> bytes:
    """A study of a list as a hospital has it: names of any length, several kinds."""
    person = number % len(PATIENTS)
    name, sex, born = PATIENTS[person]
    modality, description = STUDIES[number % len(STUDIES)]
    day = f"2026{1 + number % 2:02}{1 + number % 27:02}"
    made = dataset(
        patient=100 + person, study=number + 1, PatientName=name, PatientSex=sex, PatientBirthDate=born, PatientID=f"MRN-{200100 + person}",
        StudyDate=day, SeriesDate=day, StudyDescription=description, Modality=modality, SpecificCharacterSet="ISO_IR 192",
    )  # fmt: skip
    return encode(made)


def picture(number: int) -> bytes:
    """One of `PICTURES`, as it is, of somebody else."""
    file, description, person, _ = PICTURES[number]
    name, sex, born = PATIENTS[person]
    made = dcmread(str(get_testdata_file(file)))
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName, made.PatientSex, made.PatientBirthDate, made.PatientID = name, sex, born, f"MRN-{200100 + person}"
    made.StudyDescription, made.AccessionNumber = description, f"A2026-{11871 - 7 * number}"
    made.StudyDate, made.StudyTime = f"202603{12 - number:02}", f"{9 + number:02}{7 * number:02}00"
    with io.BytesIO() as target:
        made.save_as(target)
        return target.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with some of everything: studies, jobs that succeed and go on, a script that fails, a worklist, remotes."""
    folder = tmp_path_factory.mktemp("views")
    script = folder / "routing.lua"
    script.write_text("function OnStableStudy(study) error('no way for ' .. study) end")
    options = f'{OPTIONS} "LuaScripts": ["{script}"],'
    with running("Sinogram", sinogram_command(), folder, options) as server:
        made = Site(server)
        for number in range(60):
            made.upload(one_of_many(number))
        for name in ("examples_ybr_color.dcm", "MR_small.dcm", "examples_palette.dcm"):
            made.upload(Path(str(get_testdata_file(name))).read_bytes())
        for number in range(SLICES):
            chosen = made.upload(body(number))
        for number, (*_, label) in enumerate(PICTURES):
            stored = made.upload(picture(number))
            if label:
                made.ask(f"/studies/{stored['ParentStudy']}/labels/{label}", "PUT")
        study = chosen["ParentStudy"]
        for label in ("teaching", "to be read"):
            made.ask(f"/studies/{study}/labels/{label.replace(' ', '-')}", "PUT")
        made.ask("/modalities/pacs", "PUT", f'["PEER", "127.0.0.1", {server.dicom_port}]'.encode())
        made.ask("/modalities/workstation", "PUT", f'["WORKSTATION", "127.0.0.1", {free_port()}]'.encode())
        made.ask(
            "/modalities/workstation/store", "POST", f'{{"Resources": ["{study}"], "Asynchronous": true}}'.encode()
        )
        made.ask(f"/studies/{study}/anonymize", "POST", b"{}")
        yield made


def study_of(site: Site) -> str:
    (found,) = site.ask("/tools/find", "POST", b'{"Level": "Study", "Query": {"PatientID": "MRN-204417"}}')
    return str(found)


def login(made: Visit, site: Site) -> None:
    expect(made.page.get_by_label("User")).to_be_visible()


def archive(made: Visit, site: Site) -> None:
    expect(made.page.get_by_role("row").nth(3)).to_be_visible()


def chosen(made: Visit, site: Site) -> None:
    made.page.get_by_role("row").nth(1).get_by_role("checkbox").click()
    made.page.get_by_role("row").nth(2).get_by_role("checkbox").click()
    expect(made.page.get_by_text("2 studies chosen")).to_be_visible()


def nothing_found(made: Visit, site: Site) -> None:
    made.go("/?PatientName=nobody")
    expect(made.page.get_by_text("No study fits the search.")).to_be_visible()


def patient(made: Visit, site: Site) -> None:
    made.go(f"/patients/{site.ask(f'/studies/{study_of(site)}')['ParentPatient']}")
    expect(made.page.get_by_role("tabpanel").get_by_role("link").first).to_be_visible()


def study(made: Visit, site: Site) -> None:
    made.go(f"/studies/{study_of(site)}")
    expect(made.page.get_by_role("tabpanel").get_by_role("link").first).to_be_visible()


def history(made: Visit, site: Site) -> None:
    made.go(f"/studies/{study_of(site)}?show=history")
    expect(made.page.get_by_role("tabpanel").get_by_role("listitem").first).to_be_visible()


def series(made: Visit, site: Site) -> None:
    made.go(f"/series/{series_of(site)}")
    expect(made.page.get_by_role("tabpanel").get_by_role("link").first).to_be_visible()


def series_of(site: Site) -> str:
    return str(site.ask(f"/studies/{study_of(site)}")["Series"][0])


def instance(made: Visit, site: Site) -> None:
    made.go(f"/instances/{site.ask(f'/series/{series_of(site)}')['Instances'][0]}")
    expect(made.page.get_by_role("tabpanel")).to_contain_text("SOP Instance UID")


def not_there(made: Visit, site: Site) -> None:
    made.go("/studies/00000000-00000000-00000000-00000000-00000000")
    expect(made.page.get_by_role("alert")).to_be_visible()
    made.complaints.clear()  # the browser itself tells of the 404


def send(made: Visit, site: Site) -> None:
    study(made, site)
    made.page.get_by_role("button", name="Send").click()
    expect(made.page.get_by_role("dialog").get_by_role("radio").first).to_be_visible()


def anonymise(made: Visit, site: Site) -> None:
    study(made, site)
    made.page.get_by_role("button", name="Anonymise").click()
    expect(made.page.get_by_role("dialog").get_by_label("New Patient ID")).to_be_visible()


def modify(made: Visit, site: Site) -> None:
    study(made, site)
    made.page.get_by_role("button", name="Modify").click()
    expect(made.page.get_by_role("dialog").get_by_role("textbox", name="Study Description")).to_be_visible()


def delete(made: Visit, site: Site) -> None:
    study(made, site)
    made.page.get_by_role("button", name="Delete").click()
    expect(made.page.get_by_role("dialog")).to_contain_text("instances")


def viewer(made: Visit, site: Site) -> None:
    made.go(f"/series/{series_of(site)}/viewer")
    expect(made.page.locator("[data-drawn]")).to_be_visible()


def upload(made: Visit, site: Site) -> None:
    made.go("/upload")
    files: list[FilePayload] = [
        {"name": f"IM{number:05}", "mimeType": "", "buffer": one_of_many(number)} for number in range(9)
    ]
    files.append({"name": "README.TXT", "mimeType": "", "buffer": b"-"})
    files.append({"name": "IM00009", "mimeType": "", "buffer": one_of_many(9)[:300]})
    made.page.get_by_label("Choose files").set_input_files(files)
    expect(made.page.get_by_text("11 of 11 files")).to_be_visible()
    expect(made.page.get_by_role("link", name="Open: ").first).to_be_visible()
    made.complaints.clear()  # the browser itself tells of each 400


def remote(made: Visit, site: Site) -> None:
    made.go("/remote?from=modality/pacs")
    made.page.get_by_role("button", name="Search").click()
    expect(made.page.get_by_role("row").nth(3)).to_be_visible()


def jobs(made: Visit, site: Site) -> None:
    made.go("/jobs")
    expect(made.page.get_by_role("main").get_by_role("listitem").nth(1)).to_be_visible()


def job(made: Visit, site: Site) -> None:
    jobs(made, site)
    made.page.get_by_role("main").get_by_role("listitem").first.get_by_role("button").first.press("Enter")
    expect(made.page.get_by_role("dialog").get_by_role("listitem").filter(has_text="submitted").first).to_be_visible()


def events(made: Visit, site: Site) -> None:
    made.go("/events")
    expect(made.page.get_by_text("live", exact=True)).to_be_visible()
    site.upload(one_of_many(70))
    expect(made.page.get_by_role("listitem").nth(3)).to_be_visible()


def scripts(made: Visit, site: Site) -> None:
    made.go("/scripts")
    expect(made.page.get_by_text("no way for").first).to_be_visible()


def replay(made: Visit, site: Site) -> None:
    made.go("/scripts?show=replay")
    made.page.get_by_role("textbox", name="script.lua").fill(
        "function OnStoredInstance(id, tags)\n  print(tags.PatientName)\nend"
    )
    made.page.get_by_role("button", name="Try", exact=True).click()
    made.shows("Done. Nothing was changed.")


def console(made: Visit, site: Site) -> None:
    made.go("/scripts?show=console")
    made.page.get_by_label("Lua", exact=True).fill("print(#ParseJson(RestApiGet('/studies')) .. ' studies')")
    made.page.keyboard.press("Control+Enter")
    expect(made.page.get_by_text(re.compile(r"^\d+ studies"))).to_be_visible()


def system(made: Visit, site: Site) -> None:
    made.go("/system")
    expect(made.page.get_by_role("definition").first).to_be_visible()


def _tab(name: str) -> Callable[[Visit, Site], None]:
    def show(made: Visit, site: Site) -> None:
        made.go(f"/system?show={name}")
        expect(made.page.get_by_role("tabpanel")).to_be_visible()

    show.__name__ = name
    return show


VIEWS = (
    login, archive, chosen, nothing_found, patient, study, history, series, instance, not_there, send, anonymise, modify, delete, viewer,
    upload, remote, jobs, job, events, scripts, replay, console, system, *map(_tab, ("modalities", "dicomweb", "worklists", "configuration", "logs")),
)  # fmt: skip


@pytest.mark.parametrize("show", VIEWS, ids=lambda show: show.__name__.replace("_", "-"))
def test_a_view_at_all_sizes(visit: Callable[..., Visit], site: Site, show: Callable[[Visit, Site], None]) -> None:
    made = visit(logs_in=show is not login)
    show(made, site)
    barriers = []
    for size, (width, height) in SIZES.items():
        made.page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            made.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            made.page.wait_for_function(_RESTS)
            made.screenshot(f"{show.__name__.replace('_', '-')}-{size}-{scheme}")
            if size == "phone":
                barriers += [f"{scheme}: {barrier}" for barrier in made.find_barriers()]
        assert made.page.evaluate("document.documentElement.scrollWidth") <= width, size
    assert barriers == []
