"""The page speaks other languages, each loaded when it is wanted."""

from collections.abc import Callable

from playwright.sync_api import Request, expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study


def test_a_language_is_chosen_and_remembered(visit: Callable[..., Visit], site: Site) -> None:
    site.upload(make_study(1))
    made = visit("/")
    page = made.page
    loaded: list[str] = []

    def note(request: Request) -> None:
        loaded.extend(name for name in ("de", "fr") if f"/assets/{name}-" in request.url)

    page.on("request", note)
    page.reload()
    expect(page.get_by_role("row").filter(has_text="Tester, Anna1")).to_contain_text("Jan 02, 2026")
    assert loaded == []
    page.get_by_label("Language").select_option("de")
    expect(page.get_by_role("link", name="Aufträge")).to_be_visible()
    assert loaded == ["de"]
    assert page.evaluate("document.documentElement.lang") == "de"
    page.reload()
    expect(page.get_by_role("row").filter(has_text="Tester, Anna1")).to_contain_text("02. Jan. 2026")
    page.get_by_role("link", name="Aufträge").click()
    expect(page.get_by_text("Es gibt keine Aufträge.")).to_be_visible()
    assert made.find_barriers() == []
    made.screenshot("jobs-german")
    page.get_by_label("Sprache").select_option("fr")
    expect(page.get_by_text("Il n’y a pas de tâches.")).to_be_visible()
    assert made.find_barriers() == []
    page.get_by_label("Langue").select_option("en")
    expect(page.get_by_text("There are no jobs.")).to_be_visible()
