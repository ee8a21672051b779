"""The live feed: what happens is seen as it happens, in bounded memory."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study

pytestmark = pytest.mark.nightly

KEPT = 500  # by the page


def test_what_happens_is_seen_at_once(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/events")
    page = made.page
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    stored = site.upload(make_study(1))
    created = page.get_by_role("listitem").filter(has_text="study created")
    expect(created).to_have_count(1)
    assert made.find_barriers() == []
    page.get_by_label("Level").select_option("Series")
    expect(page.get_by_role("listitem").filter(has_text="series created")).to_have_count(1)
    expect(created).to_have_count(0)
    page.get_by_label("Level").select_option("")
    page.get_by_label("Types").fill("resource-deleted")
    page.get_by_label("Types").press("Enter")
    expect(page.get_by_role("listitem")).to_have_count(0)
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    site.ask(f"/patients/{stored['ParentPatient']}", "DELETE")
    expect(page.get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_role("listitem")).to_contain_text("deleted since")
    made.screenshot("events")


def test_the_feed_keeps_only_so_many(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/events")
    expect(made.page.get_by_text("live", exact=True)).to_be_visible()
    for number in range(150):
        site.upload(make_study(number))
    head = site.ask("/events/head")["Head"]
    expect(made.page.get_by_role("listitem").filter(has_text=str(head)).first).to_be_visible()
    expect(made.page.get_by_role("listitem")).to_have_count(KEPT)
