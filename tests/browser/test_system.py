"""The server is seen, its neighbours are added, tried, changed and removed, and its logs are turned up."""

import json
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.stage import BASIC, Site, Visit
from tests.browser.studies import make_study
from tests.peer.exchange import Request


def test_what_the_server_is_and_holds(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/system")
    page = made.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Peer")
    expect(page.get_by_role("definition").nth(3)).to_have_text("0")
    site.upload(make_study(3))
    expect(page.get_by_role("definition").nth(3)).to_have_text("1")
    expect(page.get_by_role("img", name="Instances stored per second: now")).to_be_visible()
    for text in (
        "DICOM associations",
        "Jobs that wait",
        "Disk of the storage",
        "Serves the DICOM modality worklist",
        "Extended Find",
    ):
        expect(page.get_by_text(text).first).to_be_visible()
    assert made.find_barriers() == []
    made.screenshot("system")
    page.get_by_role("button", name="Shut down").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot start it again")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("tab", name="Configuration").click()
    page.get_by_label("Search").fill("dicomaet")
    expect(page.get_by_role("row")).to_have_count(1)
    expect(page.get_by_role("row")).to_contain_text("PEER")
    page.get_by_label("Search").fill("extended find")
    expect(page.get_by_role("row")).to_contain_text("Capabilities › HasExtendedFind")
    page.get_by_role("tab", name="Logs").click()
    page.get_by_label("dicom", exact=True).select_option("verbose")
    expect(page.get_by_text("Logs of dicom: verbose")).to_be_visible()
    assert [site.text(f"/tools/log-level-{name}") for name in ("dicom", "http")] == ["verbose", "default"]
    page.get_by_label("All", exact=True).select_option("default")
    expect(page.get_by_label("dicom", exact=True)).to_have_value("default")
    assert made.find_barriers() == []


def fill(page: Page, **values: str) -> Locator:
    dialog = page.get_by_role("dialog")
    for label, value in values.items():
        dialog.get_by_label(label, exact=True).fill(value)
    return dialog


def test_a_modality_is_added_tried_changed_and_removed(visit: Callable[..., Visit], site: Site) -> None:
    """The server itself is the modality, which answers C-ECHO to everybody."""
    made = visit("/system?show=modalities")
    page = made.page
    expect(page.get_by_text("There are none.")).to_be_visible()
    page.get_by_role("button", name="Add").click()
    dialog = fill(page, Name="me", AET="PEER", Host="127.0.0.1", Port="1")
    assert made.find_barriers() == []
    dialog.get_by_label("Host").press("Enter")
    expect(dialog).to_have_count(0)
    entry = page.get_by_role("listitem", name="me")
    entry.get_by_role("button", name="Test").click()
    expect(entry.get_by_role("status")).to_contain_text("Connection refused")
    assert len(made.complaints) == 1  # the browser itself tells of an answer that is an error
    made.complaints.clear()
    entry.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("Host")).to_have_value("127.0.0.1")
    fill(page, Port=str(site.server.dicom_port))
    dialog.get_by_label("have sent (C-MOVE)").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(entry).to_contain_text("no Move")
    entry.get_by_role("button", name="Test").click()
    expect(entry.get_by_role("status")).to_contain_text("answers")
    made.screenshot("modalities")
    assert site.ask("/modalities/me/configuration")["AllowMove"] is False
    page.get_by_role("button", name="Add").click()
    fill(page, Name="me")
    expect(dialog).to_contain_text("There is one of this name.")
    page.keyboard.press("Escape")
    entry.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(entry).to_have_count(0)
    assert site.ask("/modalities") == []


def test_a_password_is_never_shown_and_kept(visit: Callable[..., Visit], site: Site) -> None:
    """The server itself is the DICOMweb server: with the right password alone it answers."""
    made = visit("/system?show=dicomweb")
    page = made.page
    page.get_by_role("button", name="Add").click()
    url = f"{site.url}/dicom-web/"
    dialog = fill(page, **{"Name": "self", "Address (URL)": url, "User": "anna", "Password": "secret"})
    dialog.get_by_role("button", name="Save").click()
    entry = page.get_by_role("listitem", name="self")
    entry.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("Password", exact=True)).to_have_value("")
    expect(dialog.get_by_label("Password", exact=True)).to_have_attribute("placeholder", "kept as it is")
    fill(page, **{"Timeout (s, 0: as configured)": "9"})
    dialog.get_by_label("it deletes").check()
    assert made.find_barriers() == []
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    changed = site.ask("/dicom-web/servers?expand")["self"]
    assert (changed["Timeout"], changed["HasDelete"], changed["Username"]) == (9, "1", "anna")
    entry.get_by_role("button", name="Test").click()
    expect(entry.get_by_role("status")).to_contain_text("answers")
    entry.get_by_role("button", name="Edit").click()
    fill(page, **{"Address (URL)": "http://127.0.0.1:1/"})
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Secrets are kept for the same Url alone")
    assert len(made.complaints) == 1
    made.complaints.clear()


def test_damaged_files_and_the_worklist_are_seen(visit: Callable[..., Visit], site: Site) -> None:
    file = make_study(7)
    identifier = site.upload(file)["ID"]
    for path in site.server.data.rglob("*"):
        if path.is_file() and path.stat().st_size == len(file) and path.read_bytes() == file:
            path.write_bytes(file[:-1] + b"X")
    assert (
        site.server.ask(Request(f"/instances/{identifier}/file", headers=BASIC)).status == 500
    )  # by which the server finds it
    step = {"Modality": "CT", "ScheduledStationAETitle": "CT_EAST", "ScheduledProcedureStepStartDate": "20260131"}
    tags = {"PatientName": "Doe^Jane", "PatientID": "W1", "ScheduledProcedureStepSequence": [step]}
    site.ask("/worklists/create", "POST", json.dumps({"Tags": tags}).encode())
    made = visit("/system?show=damaged")
    page = made.page
    expect(page.get_by_text("1 file is damaged.")).to_be_visible()
    expect(page.get_by_role("tabpanel").get_by_role("link", name="Instance")).to_have_attribute(
        "href", f"/ui/instances/{identifier}"
    )
    page.get_by_role("tab", name="Worklist").click()
    for text in ("Doe, Jane", "W1", "Jan 31, 2026", "CT_EAST"):
        expect(page.get_by_role("cell", name=text)).to_be_visible()
