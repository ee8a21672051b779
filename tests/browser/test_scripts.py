"""Scripts are seen as they fare, and pieces of Lua are run."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.stage import LUA_PATIENT, Site, Visit
from tests.dicom_bytes import dataset, encode


def test_a_failure_is_seen_and_a_command_is_run(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/scripts", width=360, height=740, dark=True)
    page = made.page
    expect(page.get_by_text("No callback has failed.")).to_be_visible()
    expect(page.get_by_text("failing.lua").first).to_be_visible()
    stored = site.upload(encode(dataset(PatientID=LUA_PATIENT)))
    expect(page.get_by_text(f"no way for {stored['ID']}").first).to_be_visible()
    page.get_by_label("Lua", exact=True).fill('print("there are " .. #ParseJson(RestApiGet("/studies")))')
    page.keyboard.press("Control+Enter")
    output = page.get_by_role("list", name="What was run, the latest first").get_by_role("listitem")
    expect(output).to_contain_text("there are 1")
    expect(page.get_by_label("Lua", exact=True)).to_have_value("")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Lua", exact=True)).to_have_value(
        'print("there are " .. #ParseJson(RestApiGet("/studies")))'
    )
    page.get_by_label("Lua", exact=True).fill("print(nobody.knows)")
    page.get_by_role("button", name="Run").click()
    expect(output.first).to_contain_text("nil value")
    page.get_by_label("From event").fill("2")
    expect(page.get_by_text("--since 2 --until")).to_be_visible()
    assert made.find_barriers() == []
    made.screenshot("scripts")
    made.complaints.clear()
