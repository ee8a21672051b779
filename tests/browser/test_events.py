"""The live feed: what happens is seen as it happens, in bounded memory."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OPTIONS
from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study
from tests.peer.servers import running, sinogram_command

KEPT = 500  # by the page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of its own, whose log begins here."""
    with running("Sinogram", sinogram_command(), tmp_path_factory.mktemp("events"), OPTIONS) as server:
        yield Site(server)


def test_what_happens_is_seen_at_once(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/events")
    page = made.page
    rows = page.get_by_role("listitem")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    stored = site.upload(make_study(1))
    created = rows.filter(has_text="study created")
    expect(created).to_have_count(1)
    expect(created).to_contain_text("Tester, Anna1 · P0001 · Knee MR")
    expect(created.get_by_role("link", name="Knee MR")).to_have_attribute(
        "href", f"/ui/studies/{stored['ParentStudy']}"
    )
    created.get_by_role("button", name="All of event").click()
    expect(created.get_by_role("group").filter(has_text="patient_tags")).to_be_visible()
    assert made.find_barriers() == []
    page.get_by_role("button", name="Series", exact=True).click()
    expect(rows.filter(has_text="series created")).to_have_count(1)
    expect(created).to_have_count(0)
    page.get_by_role("button", name="Series", exact=True).click()
    page.get_by_role("button", name="Deletions").click()
    expect(page.get_by_text("There are no such events.")).to_be_visible()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    site.ask(f"/patients/{stored['ParentPatient']}", "DELETE")
    deleted = rows.filter(has_text="resource deleted")
    expect(deleted).to_contain_text("deleted since")
    expect(deleted).to_contain_text("anna")
    expect(deleted).to_contain_text("Tester, Anna1")  # whom it was, though he is gone
    page.get_by_label("One type").select_option("instance-stored")
    expect(rows.filter(has_text="instance stored")).to_have_count(1)
    made.screenshot("events")


def test_a_pause_counts_on_and_an_earlier_place_is_found(visit: Callable[..., Visit], site: Site) -> None:
    study = site.upload(make_study(2))["ParentStudy"]
    site.ask(f"/studies/{study}/labels/zero", "PUT")
    made = visit("/events", dark=True)
    page = made.page
    rows = page.get_by_role("listitem")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.get_by_role("button", name="Deletions").click()
    page.get_by_role("button", name="Labels, metadata").click()
    # Each filter is asked for anew: this is what is there after the second alone.
    expect(rows.filter(has_text="study created")).to_have_count(0)
    expect(rows.filter(has_text="label added")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    before = rows.count()
    for label in ("one", "two", "three"):
        site.ask(f"/studies/{study}/labels/{label}", "PUT")
    resume = page.get_by_role("button", name="Go on (3 new)")
    expect(resume).to_be_visible()
    assert rows.count() == before
    resume.click()
    expect(rows.filter(has_text="label added")).to_have_count(4)
    expect(rows.first).to_contain_text("three")
    page.get_by_role("button", name="Deletions").click()
    page.get_by_role("button", name="Labels, metadata").click()
    page.get_by_label("To number").fill("2")
    page.get_by_label("To number").press("Enter")
    expect(rows).to_have_count(2)
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    assert made.find_barriers() == []
    page.get_by_role("button", name="Show later events").click()
    expect(rows.filter(has_text="label added")).to_have_count(4)
    page.get_by_label("To time").fill("2001-01-01T00:00:00")
    expect(page.get_by_text("There are no such events.")).to_be_visible()
    page.get_by_label("To time").fill("2199-01-01T00:00:00")
    head = site.ask("/events/head")["Head"]
    expect(page.get_by_label("To number")).to_have_value(str(head))
    expect(rows.first).to_contain_text(str(head))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("live", exact=True)).to_be_visible()


@pytest.mark.nightly
def test_the_feed_keeps_only_so_many(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/events")
    expect(made.page.get_by_text("live", exact=True)).to_be_visible()
    for number in range(150):
        site.upload(make_study(number))
    head = site.ask("/events/head")["Head"]
    expect(made.page.get_by_role("listitem").filter(has_text=str(head)).first).to_be_visible()
    expect(made.page.get_by_role("listitem")).to_have_count(KEPT)
