"""Files, folders and archives are uploaded, each with what became of it."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study
from tests.dicom_bytes import add_pixels, dataset, encode

NAMES = ("Berger^Maria", "Huber^Jonas")
DESCRIPTIONS = ("CT Thorax native", "Knee")


def _image(study: int, series: int, instance: int) -> bytes:
    made = dataset(
        200 + study, 1, series, instance, PatientName=NAMES[study], StudyDescription=DESCRIPTIONS[study], Modality="CT"
    )
    return encode(add_pixels(made))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a CD has it: two studies in folders, what is no DICOM file, a table of contents, and an image that is damaged."""
    made = tmp_path / "disc"
    for number in range(12):
        study, series, instance = number % 2, number // 2 % 2, number // 4
        path = made / f"study{study}" / f"series{series}" / f"image{instance}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_image(study, series, instance))
    (made / "README.TXT").write_text("for patients")
    (made / "DICOMDIR").write_bytes(_image(0, 0, 0)[:128] + b"DICM\2\0\2\0UI\x16\x001.2.840.10008.1.3.10\0")
    (made / "IM0099").write_bytes(_image(1, 1, 9)[:200])
    return made


def _upload(page: Page, number: int) -> Locator:
    """Return what is told of an upload, from the newest."""
    return page.get_by_role("region", name="Upload: ").nth(number)


def test_a_folder_tells_its_studies_and_what_has_not_been_stored(
    visit: Callable[..., Visit], site: Site, folder: Path
) -> None:
    made = visit("/upload")
    page = made.page
    page.get_by_label("Choose a folder").set_input_files(folder)
    first = _upload(page, 0)
    expect(first).to_have_accessible_name(re.compile("^Upload: disc, "))
    expect(first.get_by_role("status")).to_have_text("15 of 15 files · 12 instances stored")
    lines = first.get_by_role("listitem")
    for name, description in (("Berger, Maria", "CT Thorax native"), ("Huber, Jonas", "CT Knee")):
        expect(lines.filter(has_text=name)).to_contain_text(f"{name} – {description}, 2 series, 6 images")
    for name, words in (
        ("README.TXT", "not a DICOM file, left out"),
        ("DICOMDIR", "not an image, left out"),
        ("IM0099", "Cannot parse an invalid DICOM file"),
    ):
        expect(lines.filter(has_text=name)).to_have_count(1)
        expect(lines.filter(has_text=name)).to_contain_text(words)
    expect(first.get_by_role("heading", name="1 image may be missing")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.get_by_text("not stored")).to_have_count(0)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert made.find_barriers() == [], scheme
    made.screenshot("upload")
    assert site.ask("/statistics")["CountInstances"] == 12

    # The stage's server overwrites (`OverwriteInstances`); this is what others answer.
    known = json.dumps(site.upload(_image(0, 0, 0)) | {"Status": "AlreadyStored"})
    page.route(re.compile(r"/instances\?"), lambda route: route.fulfill(body=known), times=1)
    page.get_by_label("Choose files").set_input_files(folder / "study0" / "series0" / "image0")
    expect(_upload(page, 0).get_by_role("status")).to_have_text("1 of 1 file · 0 instances stored · 1 was here already")
    expect(_upload(page, 0).get_by_role("listitem")).to_contain_text("1 series, 1 image · 1 was here already")
    expect(_upload(page, 1).get_by_role("status")).to_have_text("15 of 15 files · 12 instances stored")
    _upload(page, 1).get_by_role("link", name="Open: Huber, Jonas").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Knee")
    # The browser tells of the answers that are errors; the DICOMDIR lacks an identifier or cannot be read.
    assert all(re.search(r"400 \(Bad Request\)|404 \(Not Found\)", complaint) for complaint in made.complaints)
    made.complaints.clear()


def test_an_archive_is_taken_apart_and_what_it_lacks_is_told(
    visit: Callable[..., Visit], site: Site, tmp_path: Path
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(20, 25):
            archive.writestr(f"images/{number}.dcm", make_study(number))
        archive.writestr("images/25.dcm", make_study(25)[:200])
        archive.writestr("README.TXT", "for patients")
    (tmp_path / "images.zip").write_bytes(packed.getvalue())
    made = visit("/upload")
    page = made.page
    page.get_by_label("Choose files").set_input_files(tmp_path / "images.zip")
    first = _upload(page, 0)
    expect(first.get_by_role("status")).to_have_text("1 of 1 file · 5 instances stored")
    expect(first.get_by_role("link")).to_have_count(5)
    expect(first.get_by_role("listitem").filter(has_text="images.zip › images/25.dcm")).to_contain_text("Cannot parse")
    expect(first.get_by_role("listitem").filter(has_text="images.zip › README.TXT")).to_contain_text("left out")
    page.get_by_label("Choose files").set_input_files(tmp_path / "images.zip")
    expect(_upload(page, 1)).to_be_visible()
    expect(_upload(page, 0).get_by_role("status")).to_have_text("1 of 1 file · 5 instances stored")


def test_what_the_server_has_no_room_for_can_be_sent_again(
    visit: Callable[..., Visit], site: Site, tmp_path: Path
) -> None:
    (tmp_path / "one").write_bytes(make_study(50))
    made = visit("/upload")
    page = made.page
    full = '{"Message": "The file storage is full", "OrthancStatus": 19}'
    page.route(re.compile("/instances"), lambda route: route.fulfill(status=507, body=full), times=1)
    page.get_by_label("Choose files").set_input_files(tmp_path / "one")
    expect(_upload(page, 0).get_by_role("heading", name="1 file was not stored")).to_be_visible()
    expect(_upload(page, 0)).to_contain_text("one – The file storage is full")
    page.get_by_role("button", name="Try again").click()
    expect(_upload(page, 0).get_by_role("status")).to_have_text("1 of 1 file · 1 instance stored")
    expect(_upload(page, 0).get_by_role("heading", name="not stored")).to_have_count(0)
    assert all("507" in complaint for complaint in made.complaints)
    made.complaints.clear()


_DROP = """([names, contents]) => {
    const data = new DataTransfer();
    names.forEach((name, place) => data.items.add(new File([Uint8Array.from(contents[place])], name)));
    const zone = document.querySelector('.drop');
    for (const type of ['dragover', 'drop']) zone.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_dropped_files_are_sent(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/upload")
    files = [make_study(number) for number in (30, 31)]
    expect(made.page.get_by_role("group", name="Drop")).to_be_visible()
    made.page.evaluate(_DROP, [["a.dcm", "b.dcm"], [list(file) for file in files]])
    expect(made.page.get_by_text("2 of 2 files · 2 instances")).to_be_visible()


def test_uploads_go_on_while_something_else_is_looked_at(
    visit: Callable[..., Visit], site: Site, tmp_path: Path
) -> None:
    before = site.ask("/statistics")["CountInstances"]
    for number in range(100, 140):
        (tmp_path / f"{number}").write_bytes(make_study(number))
    made = visit("/upload")
    made.page.get_by_label("Choose files").set_input_files([*tmp_path.iterdir()])
    made.page.get_by_role("link", name="Archive").click()
    expect(made.page.get_by_role("heading", name="Studies")).to_be_visible()
    made.page.get_by_role("link", name="Upload").click()
    expect(made.page.get_by_text("40 of 40 files")).to_be_visible()
    assert site.ask("/statistics")["CountInstances"] == before + 40
