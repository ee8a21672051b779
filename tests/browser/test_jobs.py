"""Jobs are seen as they go on, and can be stopped."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study

pytestmark = pytest.mark.nightly


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
    expect(job).to_contain_text("ResourceModification")
    expect(job).to_contain_text("done")
    job.get_by_role("button", name="Details").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("ParentResources")
    expect(dialog.get_by_role("listitem").first).to_contain_text("submitted")
    expect(dialog.get_by_role("listitem").last).to_contain_text("succeeded")
    assert made.find_barriers() == []
    made.screenshot("job")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    job.get_by_role("button", name="Remove from the list").click()
    expect(page.get_by_text("There are no jobs.")).to_be_visible()


def test_a_job_is_paused_resumed_and_cancelled(visit: Callable[..., Visit], site: Site) -> None:
    """A job that nothing answers waits to be tried again, so there is time for all of it."""
    site.ask("/modalities/nobody", "PUT", b'{"AET": "NOBODY", "Host": "127.0.0.1", "Port": 1}')
    (study, *_) = site.ask("/studies")
    site.ask("/modalities/nobody/store", "POST", f'{{"Resources": ["{study}"], "Asynchronous": true}}'.encode())
    made = visit("/jobs")
    job = made.page.get_by_role("main").get_by_role("listitem").filter(has_text="DicomModalityStore")
    job.get_by_role("button", name="Pause").click()
    expect(job).to_contain_text("paused")
    job.get_by_role("button", name="Resume").click()
    expect(job).not_to_contain_text("paused")
    job.get_by_role("button", name="Cancel").click()
    expect(job).to_contain_text("failed")
    made.page.get_by_label("State").select_option("Success")
    expect(job).to_have_count(0)
