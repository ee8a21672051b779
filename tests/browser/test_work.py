"""What people do with studies: send, download, anonymise, modify, protect, delete, and fetch from elsewhere."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study
from tests.peer.exchange import Request
from tests.peer.servers import running, sinogram_command
from tests.ports import free_port

pytestmark = pytest.mark.usefixtures("received")


@pytest.fixture(scope="module")
def far(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Another server with three studies: the modality "far" and the DICOMweb server "web"."""
    known = f'"DicomModalities": {{"here": ["PEER", "127.0.0.1", {site.server.dicom_port}]}},'
    with running("Far", sinogram_command(), tmp_path_factory.mktemp("far"), known) as server:
        for number in (50, 51, 52):
            assert server.ask(Request("/instances", "POST", make_study(number))).status == 200
        site.put("/modalities/far", ["PEER", "127.0.0.1", server.dicom_port])
        site.put("/modalities/nobody", ["NOBODY", "127.0.0.1", free_port()])
        site.put("/dicom-web/servers/web", {"Url": f"http://127.0.0.1:{server.http_port}/dicom-web/"})
        yield


def study_of(site: Site, number: int) -> str:
    return site.upload(make_study(number))["ParentStudy"]


def patients(site: Site) -> dict[str, Any]:
    return {each["MainDicomTags"]["PatientID"]: each for each in site.ask("/patients?expand")}


def test_a_study_is_sent_by_the_keyboard_alone(visit: Callable[..., Visit], site: Site, received: Path) -> None:
    made = visit(f"/studies/{study_of(site, 1)}")
    page = made.page
    button = page.get_by_role("button", name="Send")
    expect(button).to_be_visible()
    made.tab_to(button)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    modality = dialog.get_by_role("radio", name="ward")
    expect(modality).to_be_visible()
    assert made.find_barriers() == []
    made.screenshot("send")
    made.tab_to(modality)
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Sent to ward. 1 of 1 images accepted.")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert [pydicom.dcmread(path).PatientID for path in received.iterdir()] == ["P0001"]
    page.get_by_role("status").get_by_role("link", name="Job").click()
    expect(page.get_by_role("dialog", name="Send to modality: WARD")).to_contain_text("succeeded")


@pytest.mark.usefixtures("far")
def test_what_another_server_keeps_is_deleted_here(visit: Callable[..., Visit], site: Site, received: Path) -> None:
    study = study_of(site, 7)
    made = visit(f"/studies/{study}")
    page = made.page

    def send(name: str) -> None:
        page.get_by_role("button", name="Send").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("radio", name=name).click()
        dialog.get_by_role("radio", name="Send, and ask").click()
        dialog.get_by_role("button", name="Send", exact=True).click()

    before = len(list(received.iterdir()))
    send("ward")
    expect(page.get_by_text("All was sent to ward. Whether it keeps that it cannot say")).to_be_visible()
    assert len(list(received.iterdir())) == before + 1
    send("far")
    page.get_by_role("link", name="Is it kept?").click()
    expect(page.get_by_text("PEER keeps the image.")).to_be_visible()
    assert made.find_barriers() == []
    made.screenshot("commitment")
    page.get_by_role("button", name="Delete here").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete here").click()
    expect(page.get_by_text("One image was deleted here.")).to_be_visible()
    assert study not in site.ask("/studies")


def test_a_study_is_downloaded_whole(visit: Callable[..., Visit], site: Site) -> None:
    made = visit(f"/studies/{study_of(site, 2)}")
    for name, kept in (("ZIP", make_study(2)), ("DICOMDIR", None)):
        with made.page.expect_download() as download:
            made.page.get_by_role("link", name=f"Download {name}").click()
        assert "_Thorax-CT_20260103.zip" in download.value.suggested_filename
        with zipfile.ZipFile(download.value.path()) as archive:
            contents = [archive.read(each) for each in archive.namelist()]
        assert (kept in contents) if kept else (b"DICM" in contents[0][:132])


def test_a_study_is_anonymised_and_the_copy_shown(visit: Callable[..., Visit], site: Site) -> None:
    made = visit(f"/studies/{study_of(site, 3)}")
    page = made.page
    page.get_by_role("button", name="Anonymise").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("New Patient Name").fill("TRIAL7")
    expect(dialog.get_by_label("New Patient ID")).to_have_value("TRIAL7")  # as proposed
    dialog.get_by_role("button", name="Show what changes").click()
    row = dialog.get_by_role("row")
    expect(row.filter(has_text="InstitutionName")).to_contain_text("removed")
    expect(row.filter(has_text="0010,0020")).to_contain_text("TRIAL7")
    expect(row.filter(has_text="StudyInstanceUID")).to_contain_text("a new one")
    expect(row.filter(has_text="StudyDescription")).to_have_count(1)
    dialog.get_by_label("Study Description").check()
    expect(row.filter(has_text="StudyDescription")).to_have_count(0)  # what stays is not shown, until it is asked for
    dialog.get_by_role("button", name="kept").click()
    expect(row.filter(has_text="StudyDescription")).to_contain_text("Head")
    assert made.find_barriers() == []
    made.screenshot("anonymise")
    dialog.get_by_role("button", name="Anonymise").click()
    page.get_by_role("status").get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Head")  # what was kept
    expect(page.get_by_role("navigation", name="Path")).to_contain_text("TRIAL7")
    page.get_by_role("link", name="the original").click()
    expect(page.get_by_role("navigation", name="Path")).to_contain_text("P0003")
    (study,) = patients(site)["TRIAL7"]["Studies"]
    told = json.dumps(site.ask(f"/studies/{study}/instances-tags?simplify"))
    assert "Tester" not in told
    assert "P0003" not in told
    assert "P0003" in patients(site)


def test_tags_are_modified_in_place_and_in_a_copy(visit: Callable[..., Visit], site: Site) -> None:
    study = study_of(site, 4)
    made = visit(f"/studies/{study}")
    page = made.page
    page.get_by_role("button", name="Modify").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Study Description").fill("Neck")
    expect(dialog.get_by_text("Was: Knee MR")).to_be_visible()
    dialog.get_by_role("button", name="Remove Accession Number").click()
    dialog.get_by_role("button", name="Another tag").click()
    dialog.get_by_label("Tag", exact=True).fill("InstitutionName")
    dialog.get_by_label("Value", exact=True).fill("Ward 7")
    dialog.get_by_label("changed in place").check()
    dialog.get_by_role("button", name="Show what changes").click()
    row = dialog.get_by_role("row")
    expect(row.filter(has_text="StudyDescription")).to_contain_text("Neck")
    expect(row.filter(has_text="AccessionNumber")).to_contain_text("removed")
    expect(row.filter(has_text="InstanceUID")).to_have_count(0)
    assert made.find_barriers() == []
    made.screenshot("modify")
    dialog.get_by_role("button", name="Modify").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Neck")
    (instance,) = site.ask(f"/studies/{study}/instances")
    tags = site.ask(f"/instances/{instance['ID']}/simplified-tags")
    assert (tags["StudyDescription"], tags["InstitutionName"], tags.get("AccessionNumber")) == ("Neck", "Ward 7", None)


def test_a_study_goes_to_another_patient_who_is_here(visit: Callable[..., Visit], site: Site) -> None:
    """The other patient has a name of his own, without which the server would refuse."""
    study_of(site, 5)
    made = visit(f"/studies/{study_of(site, 6)}")
    made.page.get_by_role("button", name="Modify").click()
    dialog = made.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Patient ID").fill("P0005")
    dialog.get_by_role("textbox", name="Patient ID").press("Tab")
    expect(dialog.get_by_role("textbox", name="Patient Name")).to_have_value("Tester^Anna5")
    dialog.get_by_label("They are deleted").check()
    dialog.get_by_role("button", name="Modify").click()
    expect(made.page.get_by_role("navigation", name="Path")).to_contain_text("P0005")
    assert "P0006" not in patients(site)
    assert len(patients(site)["P0005"]["Studies"]) == 2


def test_what_is_deleted_is_counted_first(visit: Callable[..., Visit], site: Site) -> None:
    stored = site.upload(make_study(7))
    made = visit(f"/series/{stored['ParentSeries']}")
    page, dialog = made.page, made.page.get_by_role("dialog")
    page.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text("Tester, Anna7 · P0007")
    dialog.get_by_role("button", name="Cancel").click()
    made.go(f"/patients/{stored['ParentPatient']}")
    page.get_by_role("button", name="Protect").click()
    expect(page.get_by_role("button", name="Protected")).to_have_attribute("aria-pressed", "true")
    assert site.ask(f"/patients/{stored['ParentPatient']}/protected") == 1
    page.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text("Tester, Anna7 · P0007")
    expect(dialog).to_contain_text("1 study, 1 series, 1 instance")
    expect(dialog).to_contain_text("protected")
    assert made.find_barriers() == []
    made.screenshot("delete")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert "P0007" in patients(site)
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()
    assert "P0007" not in patients(site)


@pytest.mark.usefixtures("far")
def test_studies_are_found_at_a_modality_and_fetched(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/remote?from=modality/far")
    page = made.page
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text(re.compile("far answers in [0-9,]+ ms"))).to_be_visible()
    page.get_by_label("Patient", exact=True).fill("anna5")
    page.get_by_label("From").fill("2026-02-20")
    page.get_by_role("button", name="Search").click()
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="Tester, Anna")).to_have_count(3)
    rows.filter(has_text="Anna51").get_by_role("button", name="Series").click()
    expect(page.get_by_role("listitem").filter(has_text="MR")).to_contain_text("1 instance")
    assert made.find_barriers() == []
    made.screenshot("remote")
    page.get_by_label("Choose the study of Tester, Anna50").check()
    page.get_by_label("Choose the study of Tester, Anna52").check()
    page.get_by_role("button", name="Retrieve chosen (2)").click()
    expect(page.get_by_role("status").filter(has_text="2 retrieved from far.")).to_be_visible()
    expect(rows.filter(has_text="here")).to_have_count(2)
    assert {"P0050", "P0052"} <= patients(site).keys()
    assert "P0051" not in patients(site)


@pytest.mark.usefixtures("far")
def test_a_series_is_fetched_from_a_dicomweb_server(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/remote?from=dicomweb/web")
    page = made.page
    page.get_by_label("Patient ID").fill("P0051")
    page.get_by_label("Patient ID").press("Enter")
    row = page.get_by_role("row").filter(has_text="Tester, Anna51")
    row.get_by_role("button", name="Series").click()
    page.get_by_role("listitem").get_by_role("button", name="Retrieve").click()
    expect(row).to_contain_text("here")
    row.get_by_role("link", name="here").click()
    expect(page.get_by_role("navigation", name="Path")).to_contain_text("P0051")


@pytest.mark.usefixtures("far")
def test_a_remote_that_does_not_answer_is_told_in_words(visit: Callable[..., Visit]) -> None:
    made = visit("/remote?from=modality/nobody")
    made.page.get_by_role("button", name="Search").click()
    expect(made.page.get_by_role("alert")).to_contain_text("NOBODY")
    made.complaints.clear()  # the browser itself tells of the answer's status


@pytest.mark.usefixtures("far")
@pytest.mark.nightly
def test_nothing_sticks_out_on_a_phone(visit: Callable[..., Visit], site: Site) -> None:
    made = visit(f"/studies/{study_of(site, 9)}", width=360, height=640, dark=True)
    page = made.page
    page.get_by_role("button", name="Modify").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("textbox", name="Patient ID")).to_be_visible()
    expect(dialog.get_by_role("button", name="Modify")).to_be_in_viewport()
    made.screenshot("modify-phone")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Delete")).to_be_in_viewport()
    assert page.evaluate(_WIDTH) == 360
    made.screenshot("study-phone")
    made.go("/remote?from=modality/far")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("button", name="Series").first).to_be_in_viewport()
    assert page.evaluate(_WIDTH) == 360
    assert made.find_barriers() == []
    made.screenshot("remote-phone")


_WIDTH = "Math.max(...[document.documentElement, document.querySelector('main')].map(element => element.scrollWidth))"


def test_jobs_that_go_on_are_counted(visit: Callable[..., Visit], site: Site) -> None:
    """A job whose remote is away is tried again for a while."""
    site.put("/modalities/away", ["AWAY", "127.0.0.1", free_port()])
    body = json.dumps({"Resources": [study_of(site, 8)], "Asynchronous": True}).encode()
    job = site.ask("/modalities/away/store", "POST", body)["ID"]
    made = visit("/")
    jobs = made.page.get_by_role("link", name="Jobs")
    expect(jobs.get_by_role("progressbar", name="1 job goes on")).to_be_visible()
    assert made.find_barriers() == []
    site.ask(f"/jobs/{job}/cancel", "POST")
    expect(jobs.get_by_role("progressbar")).to_have_count(0)
