"""Users log in and out; who has not sees nothing."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.stage import PASSWORD, USER, Visit


def test_log_in_and_out(visit: Callable[..., Visit]) -> None:
    made = visit(logs_in=False)
    page = made.page
    page.get_by_label("User").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    assert made.find_barriers() == []
    made.screenshot("login")
    page.get_by_role("button", name="Log in").press("Enter")
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()
    page.evaluate("window.isOfAnna = true")
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    # It has been loaded anew, so that nothing in its memory is there for the next one.
    assert not page.evaluate("'isOfAnna' in window")
    expect(page).to_have_url(f"{made.site.url}/ui/")
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_wrong_password_is_told(visit: Callable[..., Visit]) -> None:
    made = visit(logs_in=False)
    made.page.get_by_label("User").fill(USER)
    made.page.get_by_label("Password").fill("wrong")
    made.page.get_by_role("button", name="Log in").click()
    expect(made.page.get_by_role("alert")).to_have_text("This user and password do not fit.")
    expect(made.page.get_by_label("Password")).to_have_value("")
    # The browser itself tells programmers of every answer that is an error, and that is all it may tell.
    assert all("401 (Unauthorized)" in complaint for complaint in made.complaints)
    made.complaints.clear()


def test_no_script_of_the_page_can_read_the_session(visit: Callable[..., Visit]) -> None:
    made = visit()
    assert made.page.evaluate("document.cookie") == ""
    assert made.page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})") == "{}"
