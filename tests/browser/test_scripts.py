"""Scripts are seen as they fare, tried on past events, and pieces of Lua are run."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.stage import LUA_PATIENT, Site, Visit
from tests.browser.studies import make_study
from tests.dicom_bytes import dataset, encode


def test_a_script_is_tried_on_past_events(visit: Callable[..., Visit], site: Site) -> None:
    begin = site.ask("/events/head")["Head"] + 1
    kept = [site.upload(make_study(number))["ID"] for number in (1, 2)]
    made = visit("/scripts?show=replay")
    page = made.page
    page.get_by_role("textbox", name="script.lua").fill(
        "function OnStoredInstance(id, tags)\n"
        "  print('it is ' .. tags.PatientID)\n"
        "  RestApiDelete('/instances/' .. id)\n"
        "  if tags.PatientID == 'P0002' then error('not this one') end\n"
        "end"
    )
    page.get_by_label("Chosen by").select_option("their numbers")
    page.get_by_label("From event").fill(str(begin))
    page.get_by_role("button", name="Try", exact=True).click()
    made.shows("Done. Nothing was changed.")
    calls = page.get_by_role("list", name="Calls").get_by_role("listitem").filter(has_text="OnStoredInstance")
    expect(calls).to_have_count(2)
    expect(calls.first).to_contain_text("it is P0001")
    expect(calls.first).to_contain_text(f"DELETE /instances/{kept[0]}")
    expect(calls.last).to_contain_text("script.lua:4: not this one")
    calls.last.get_by_role("button", name="Line 4").click()
    assert page.evaluate("getSelection().toString()") == "  if tags.PatientID == 'P0002' then error('not this one') end"
    assert sorted(site.ask("/instances")) == sorted(kept)
    page.get_by_role("checkbox", name="would do something (1)").uncheck()
    expect(calls).to_have_count(1)
    assert made.find_barriers() == []
    made.screenshot("scripts-replay")


def test_a_failure_is_seen_and_a_command_is_run(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/scripts", width=360, height=740, dark=True)
    page = made.page
    expect(page.get_by_text("failing.lua").first).to_be_visible()
    stored = site.upload(encode(dataset(PatientID=LUA_PATIENT)))
    failure = page.get_by_role("listitem").filter(has_text=f"no way for {stored['ID']}").first
    expect(failure).to_contain_text("failing.lua, line 1")
    expect(failure.get_by_role("link", name="Instance")).to_have_attribute("href", f"/ui/instances/{stored['ID']}")
    expect(page.get_by_role("row").filter(has_text="OnStoredInstance").first).to_be_visible()
    assert made.find_barriers() == []
    made.screenshot("scripts")
    failure.get_by_role("button", name="Try on this event").click()
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.get_by_role("list", name="Calls")).to_contain_text(f"no way for {stored['ID']}")
    page.get_by_role("tab", name="Console").click()
    page.get_by_label("Lua", exact=True).fill('print("there are " .. #ParseJson(RestApiGet("/studies")))')
    page.keyboard.press("Control+Enter")
    output = page.get_by_role("list", name="What was run, the latest first").get_by_role("listitem")
    expect(output).to_contain_text(f"there are {len(site.ask('/studies'))}")
    expect(page.get_by_label("Lua", exact=True)).to_have_value("")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Lua", exact=True)).to_have_value(
        'print("there are " .. #ParseJson(RestApiGet("/studies")))'
    )
    page.get_by_label("Lua", exact=True).fill("print(nobody.knows)")
    page.get_by_role("button", name="Run").click()
    expect(output.first).to_contain_text("nil value")
    assert made.find_barriers() == []
    made.screenshot("scripts-console")
    made.complaints.clear()
