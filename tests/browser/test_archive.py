"""The list of studies: found, sorted, scrolled."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study

STUDIES = 130


@pytest.fixture(scope="module", autouse=True)
def _filled(site: Site) -> None:
    for number in range(STUDIES):
        site.upload(make_study(number))


def test_studies_are_listed_the_newest_first(visit: Callable[..., Visit]) -> None:
    made = visit()
    expect(made.page.get_by_text(f"{STUDIES} studies")).to_be_visible()
    expect(made.page.get_by_role("row").nth(1)).to_contain_text(f"Tester, Anna{STUDIES - 1}")
    assert made.find_barriers() == []
    made.screenshot("archive")


def test_the_list_goes_to_its_end_without_a_gap(visit: Callable[..., Visit]) -> None:
    made = visit()
    expect(made.page.get_by_text(f"{STUDIES} studies")).to_be_visible()
    made.page.get_by_role("table").evaluate("list => list.scrollTop = list.scrollHeight")
    expect(made.page.get_by_role("row").last).to_contain_text("Tester, Anna0")
    expect(made.page.locator("[aria-busy=true]")).to_have_count(0)


def test_a_search_narrows_the_list(visit: Callable[..., Visit]) -> None:
    made = visit()
    made.page.get_by_label("Patient", exact=True).fill("anna12")
    expect(made.page.get_by_text("11 studies")).to_be_visible()  # Anna12, Anna120 … Anna129
    made.page.reload()
    expect(made.page.get_by_text("11 studies")).to_be_visible()  # the address holds the search
