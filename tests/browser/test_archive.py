"""The list of studies: found, sorted, scrolled, chosen from, and up to date."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study

STUDIES = 130


@pytest.fixture(scope="module", autouse=True)
def _filled(site: Site) -> None:
    for number in range(STUDIES):
        site.upload(make_study(number))


def _counts(page: Page, text: str) -> None:
    expect(page.get_by_role("status").filter(has_text=re.compile(f"^{text}$"))).to_be_visible()


def _row(page: Page, number: int) -> Locator:
    """Return a row by its number in the whole list, from 1."""
    return page.locator(f"[role=row][aria-rowindex='{number + 1}']")


def test_studies_are_listed_the_newest_first_and_sorted_by_their_columns(visit: Callable[..., Visit]) -> None:
    made = visit()
    page = made.page
    _counts(page, f"{STUDIES} studies")
    expect(_row(page, 1)).to_contain_text(f"Tester, Anna{STUDIES - 1}")
    assert made.find_barriers() == []
    made.screenshot("archive")
    name = page.get_by_role("columnheader", name="Patient", exact=True)
    date = page.get_by_role("columnheader", name="Date", exact=True)
    expect(date).to_have_attribute("aria-sort", "descending")
    name.get_by_role("button").click()
    expect(_row(page, 2)).to_contain_text("Tester, Anna1")
    expect(name).to_have_attribute("aria-sort", "ascending")
    name.get_by_role("button").press("Enter")
    expect(_row(page, 1)).to_contain_text("Tester, Anna99")
    page.reload()
    expect(_row(page, 1)).to_contain_text("Tester, Anna99")  # the address holds the order
    expect(name).to_have_attribute("aria-sort", "descending")


def test_the_keyboard_alone_goes_through_the_list(visit: Callable[..., Visit]) -> None:
    made = visit()
    page = made.page
    _counts(page, f"{STUDIES} studies")
    grid = page.get_by_role("grid")
    for key, number in (
        ("ArrowDown", 2), ("End", STUDIES), ("ArrowUp", STUDIES - 1), ("Home", 1), ("ArrowUp", 1), ("ArrowDown", 2),
    ):  # fmt: skip
        grid.press(key)
        expect(_row(page, number)).to_have_class(re.compile("cursor"))
        expect(_row(page, number)).to_be_in_viewport(ratio=0.95)
        expect(grid).to_have_attribute("aria-activedescendant", _row(page, number).get_attribute("id") or "")
    expect(_row(page, 2)).to_contain_text(f"Anna{STUDIES - 2}")
    grid.press("PageDown")
    grid.press("PageUp")
    expect(_row(page, 2)).to_have_class(re.compile("cursor"))
    grid.press("Space")
    grid.press("Shift+ArrowDown")
    _counts(page, "2 studies chosen")
    grid.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(("Head", "Knee MR", "Thorax CT")[(STUDIES - 3) % 3])


def test_the_list_goes_to_its_end_without_a_gap(visit: Callable[..., Visit]) -> None:
    made = visit()
    _counts(made.page, f"{STUDIES} studies")
    made.page.get_by_role("grid").evaluate("list => list.scrollTop = list.scrollHeight")
    expect(_row(made.page, STUDIES)).to_contain_text("Tester, Anna0")
    expect(_row(made.page, STUDIES)).to_be_in_viewport(ratio=0.95)
    expect(made.page.locator("[aria-busy=true]")).to_have_count(0)


def test_a_search_narrows_the_list(visit: Callable[..., Visit], site: Site) -> None:
    labelled, *_ = site.ask("/studies")
    site.ask(f"/studies/{labelled}/labels/urgent", "PUT")
    made = visit()
    page = made.page
    search = page.get_by_role("search")
    search.get_by_label("Patient", exact=True).fill("TESTER, anna12")
    _counts(page, "11 studies")  # Anna12, Anna120 … Anna129
    search.get_by_label("Patient", exact=True).fill("anna12 tester")  # in any order
    _counts(page, "11 studies")
    search.get_by_label("Description").fill("knee")
    _counts(page, "3 studies")  # 121, 124, 127
    page.reload()
    _counts(page, "3 studies")  # the address holds the search
    page.get_by_role("button", name="Clear the search").click()
    _counts(page, f"{STUDIES} studies")
    search.get_by_role("combobox", name="Date", exact=True).select_option("From – to")
    search.get_by_label("From", exact=True).fill("2026-01-11")
    search.get_by_label("To", exact=True).fill("2026-01-20")
    _counts(page, "10 studies")
    assert made.find_barriers() == []
    made.screenshot("search")
    page.get_by_role("button", name="CT", exact=True).click()
    expect(page.get_by_text("No study fits the search.")).to_be_visible()
    page.get_by_role("button", name="Clear the search").click()
    page.get_by_role("button", name="urgent").click()
    _counts(page, "1 study")
    search.get_by_label("Labels must be there").select_option("none")
    _counts(page, f"{STUDIES - 1} studies")
    search.get_by_label("Another field…").select_option("Study ID")
    search.get_by_label("Study ID", exact=True).fill("no such")
    _counts(page, "0 studies")


def test_several_are_chosen_and_downloaded_and_deleted(visit: Callable[..., Visit], site: Site) -> None:
    for number in range(500, 505):
        site.upload(make_study(number))
    made = visit("/?PatientName=Anna50*")
    page = made.page
    page.goto(f"{site.url}/ui/?AccessionNumber=A50")
    _counts(page, "6 studies")  # A50, A500 … A504
    _row(page, 1).get_by_role("checkbox").click()
    _row(page, 3).get_by_role("checkbox").click(modifiers=["Shift"])
    _counts(page, "3 studies chosen")
    _row(page, 3).get_by_role("checkbox").click()
    _counts(page, "2 studies chosen")
    page.get_by_role("button", name="Choose none").click()
    page.get_by_role("checkbox", name="Choose all that fit").click()
    _counts(page, "6 studies chosen")
    _row(page, 6).get_by_role("checkbox").click()  # the old one stays
    assert made.find_barriers() == []
    made.screenshot("chosen")
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("ZIP$")).click()
    assert download.value.path().read_bytes()[:2] == b"PK"
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 5 studies?")
    expect(dialog).to_contain_text("5 instances")
    dialog.get_by_role("button", name="Delete").click()
    _counts(page, "1 study")
    assert site.ask("/statistics")["CountStudies"] == STUDIES


def test_new_studies_appear_and_who_reads_further_down_keeps_the_place(visit: Callable[..., Visit], site: Site) -> None:
    made = visit()
    page = made.page
    _counts(page, f"{STUDIES} studies")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    stored = [site.upload(make_study(900))]
    expect(_row(page, 1)).to_contain_text("Anna900")
    _counts(page, f"{STUDIES + 1} studies")
    grid = page.get_by_role("grid")
    grid.evaluate("list => list.scrollTop = 60 * 56")
    expect(_row(page, 61)).to_contain_text(f"Anna{STUDIES - 60}")
    stored.append(site.upload(make_study(901)))
    news = page.get_by_role("button", name="1 new study")
    expect(news).to_be_visible()
    expect(_row(page, 61)).to_contain_text(f"Anna{STUDIES - 60}")
    news.click()
    expect(_row(page, 1)).to_contain_text("Anna901")
    for each in stored:
        site.ask(f"/patients/{each['ParentPatient']}", "DELETE")
    _counts(page, f"{STUDIES} studies")


@pytest.mark.nightly
def test_the_list_fits_a_phone(visit: Callable[..., Visit]) -> None:
    made = visit(width=390, height=844, dark=True)
    page = made.page
    _counts(page, f"{STUDIES} studies")
    expect(_row(page, 1)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.get_by_role("button", name="CT", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("button", name="CT", exact=True).click()
    _counts(page, "0 studies")
    assert made.find_barriers() == []
    made.screenshot("archive-phone")


def test_a_row_shows_its_picture_unfolds_to_its_series_and_leads_to_the_viewer(visit: Callable[..., Visit]) -> None:
    made = visit("/?AccessionNumber=A11")
    page = made.page
    grid = page.get_by_role("grid")
    expect(_row(page, 1).locator("img")).to_have_js_property("naturalHeight", 96)
    below = page.get_by_role("link", name=re.compile("^View Series"))
    grid.press("ArrowRight")
    expect(below).to_be_in_viewport(ratio=0.95)
    assert made.find_barriers() == []
    page.get_by_role("button", name="Copy Accession number").click()
    expect(page.get_by_text("Copied: Accession number.")).to_be_visible()
    grid.press("ArrowDown")
    grid.press("ArrowRight")  # one at a time
    expect(below).to_have_count(1)
    expect(_row(page, 2).get_by_role("button", name=re.compile("^Series of"))).to_have_attribute(
        "aria-expanded", "true"
    )
    grid.press("ArrowLeft")
    expect(below).to_have_count(0)
    _row(page, 2).get_by_role("button", name=re.compile("^Series of")).click()
    expect(below).to_be_visible()
    _row(page, 1).get_by_role("button", name=re.compile("^Send")).click()
    expect(page.get_by_role("dialog", name=re.compile("^Send"))).to_be_visible()
    page.keyboard.press("Escape")
    _row(page, 1).get_by_role("link", name=re.compile("^View")).click()
    expect(page).to_have_url(re.compile("/ui/series/.*/viewer$"))


def test_the_newest_arrivals_come_first_and_the_way_back_keeps_the_search(visit: Callable[..., Visit]) -> None:
    made = visit("/?AccessionNumber=A1&last=365")
    page = made.page
    page.get_by_label("Order").select_option("By arrival")
    expect(page).to_have_url(re.compile("sort=LastUpdate"))
    page.get_by_role("search").get_by_label("Patient", exact=True).press("ArrowDown")
    expect(page.get_by_role("grid")).to_be_focused()
    page.get_by_role("grid").press("Enter")
    page.get_by_role("navigation", name="Path").get_by_role("link", name="Studies").click()
    expect(page).to_have_url(re.compile(r"/ui/\?AccessionNumber=A1&last=365&sort=LastUpdate$"))
