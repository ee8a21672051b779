"""From a study down to the tags of an instance: what is known of each is shown."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.dicom_bytes import add_pixels, dataset, encode


@pytest.fixture(scope="module", autouse=True)
def _filled(site: Site) -> None:
    for series in (1, 2):
        for instance in (1, 2, 3):
            site.upload(encode(add_pixels(dataset(series=series, instance=instance))))
    site.upload(
        encode(dataset(patient=2, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR"))
    )  # nothing to be seen


def test_from_the_list_to_an_instance(visit: Callable[..., Visit]) -> None:
    made = visit()
    page = made.page
    page.get_by_role("link", name="Doe, Jane 1", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Study 1 of patient 1")
    tiles = page.get_by_role("tabpanel").get_by_role("listitem")
    expect(tiles).to_have_count(2)
    expect(tiles.locator("img")).to_have_count(2)
    for picture in tiles.locator("img").all():
        expect(picture).to_have_js_property("naturalHeight", 320)
    assert made.find_barriers() == []
    made.screenshot("study")
    page.get_by_role("link", name="Series 2").first.click()
    expect(page.get_by_role("tabpanel").get_by_role("link")).to_have_count(3)
    page.get_by_role("link", name="Instance 3").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("SOP Instance UID")
    page.get_by_label("Search tags").fill("institution name")
    expect(page.get_by_role("tabpanel").get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_role("tabpanel")).to_contain_text("Institution Name")
    assert made.find_barriers() == []
    page.get_by_role("navigation", name="Path").get_by_role("link").nth(1).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Doe, Jane 1")


def test_history_metadata_and_attachments(visit: Callable[..., Visit], site: Site) -> None:
    (instance, *_) = site.ask("/instances")
    made = visit(f"/instances/{instance}?show=history")
    expect(made.page.get_by_role("tabpanel")).to_contain_text("Image stored")
    made.page.get_by_role("tab", name="Metadata").click()
    expect(made.page.get_by_role("tabpanel")).to_contain_text("ReceptionDate")
    made.page.get_by_role("tab", name="Metadata").press("ArrowRight")
    expect(made.page.get_by_role("tabpanel")).to_contain_text("dicom")
    expect(made.page).to_have_url(f"{site.url}/ui/instances/{instance}?show=attachments")
    assert made.find_barriers() == []


def test_labels_are_added_and_removed(visit: Callable[..., Visit], site: Site) -> None:
    (study, *_) = site.ask("/studies")
    made = visit(f"/studies/{study}")
    made.page.get_by_label("Add a label").fill("urgent")
    made.page.get_by_label("Add a label").press("Enter")
    expect(made.page.get_by_text("urgent")).to_be_visible()
    assert site.ask(f"/studies/{study}/labels") == ["urgent"]
    made.page.get_by_label("Remove the label urgent").click()
    expect(made.page.get_by_text("urgent")).to_have_count(0)
    assert site.ask(f"/studies/{study}/labels") == []


def test_what_has_no_picture_complains_to_nobody(visit: Callable[..., Visit], site: Site) -> None:
    (study,) = (
        each["ID"] for each in site.ask("/studies?expand") if each["PatientMainDicomTags"]["PatientID"] == "PAT2"
    )
    made = visit(f"/studies/{study}")
    tile = made.page.get_by_role("tabpanel").get_by_role("listitem")
    expect(tile.get_by_text("SR", exact=True)).to_be_visible()  # instead of a picture
    expect(made.page.locator("main img")).to_have_count(0)


def test_what_is_not_there_is_told(visit: Callable[..., Visit]) -> None:
    made = visit("/studies/00000000-00000000-00000000-00000000-00000000")
    expect(made.page.get_by_role("alert")).to_contain_text("did not work")
    made.complaints.clear()  # the browser itself tells of the 404
    made.go("/nonsense")
    made.shows("There is no such page.")
