"""Jobs are seen as they go on, and are steered by the keyboard."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study


@pytest.fixture(scope="module", autouse=True)
def _filled(site: Site) -> None:
    site.upload(make_study(1))


def test_a_job_is_seen_from_its_beginning_to_its_end(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/jobs")
    page = made.page
    expect(page.get_by_text("There are no jobs.")).to_be_visible()
    (study,) = site.ask("/studies")
    site.ask(f"/studies/{study}/anonymize", "POST", b'{"Asynchronous": true}')
    job = page.get_by_role("main").get_by_role("listitem")
    expect(job).to_contain_text("Anonymise")
    expect(job).to_contain_text("done")
    expect(job).to_contain_text("1 instance")
    expect(job.get_by_role("link", name="Open")).to_be_visible()
    page.get_by_role("button", name="Begun here").click()
    expect(page.get_by_text("No job fits.")).to_be_visible()
    page.get_by_role("button", name="Begun here").click()
    assert made.find_barriers() == []
    job.get_by_role("button", name="Anonymise", exact=True).press("Enter")
    dialog = page.get_by_role("dialog", name="Anonymise")
    events = dialog.locator("ol").get_by_role("listitem")
    expect(events.first).to_contain_text("submitted")
    expect(events.last).to_contain_text("succeeded")
    expect(dialog.get_by_role("link", name="Study")).to_have_count(2)  # what it was about, and what it has made
    dialog.get_by_text("All that the server tells").click()
    expect(dialog).to_contain_text("IsAnonymization")
    assert made.find_barriers() == []
    made.screenshot("job")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    job.get_by_role("button", name="Anonymise", exact=True).focus()
    page.keyboard.press("Delete")
    expect(page.get_by_text("There are no jobs.")).to_be_visible()


def test_jobs_are_steered_by_the_keyboard(visit: Callable[..., Visit], site: Site) -> None:
    """A job that nothing answers waits to be tried again, so there is time for all of it."""
    site.ask("/modalities/nobody", "PUT", b'{"AET": "NOBODY", "Host": "127.0.0.1", "Port": 1}')
    (study, *_) = site.ask("/studies")
    made = visit("/jobs", dark=True)
    page = made.page
    for _ in range(2):
        site.ask("/modalities/nobody/store", "POST", f'{{"Resources": ["{study}"], "Asynchronous": true}}'.encode())
    jobs = page.get_by_role("main").get_by_role("listitem").filter(has_text="Send to modality: NOBODY")
    expect(jobs).to_have_count(2)
    jobs.first.get_by_role("button", name="Send to modality: NOBODY", exact=True).focus()
    page.keyboard.press("ArrowDown")
    expect(jobs.last.get_by_role("button", name="Send to modality: NOBODY", exact=True)).to_be_focused()
    page.keyboard.press("p")
    expect(jobs.last).to_contain_text("paused")
    page.keyboard.press("p")
    expect(jobs.last).not_to_contain_text("paused")
    page.keyboard.press("c")
    failed = jobs.filter(has_text="This job was canceled")
    expect(failed).to_contain_text("failed")
    assert made.find_barriers() == []
    made.screenshot("jobs")
    page.get_by_role("button", name="failed").click()
    expect(jobs).to_have_count(1)
    page.get_by_label("Kind").select_option("Send to modality")
    failed.get_by_role("button", name="Send to modality: NOBODY", exact=True).focus()
    page.keyboard.press("r")
    expect(page.get_by_text("No job fits.")).to_be_visible()
