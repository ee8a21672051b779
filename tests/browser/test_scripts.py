"""Scripts are seen as they fare, and pieces of Lua are run."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import USERS
from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study
from tests.peer.servers import running, sinogram_command

pytestmark = pytest.mark.nightly

SCRIPT = "function OnStoredInstance(instance) if RestApiGet('/instances/' .. instance) then error('no way for ' .. instance) end end"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server with a script that fails."""
    folder = tmp_path_factory.mktemp("site")
    script = folder / "failing.lua"
    script.write_text(SCRIPT)
    options = f'{USERS} "LuaScripts": ["{script}"],'
    with running("Sinogram", sinogram_command(), folder, options) as server:
        yield Site(server)


def test_a_failure_is_seen_and_a_command_is_run(visit: Callable[..., Visit], site: Site) -> None:
    made = visit("/scripts", width=360, height=740, dark=True)
    page = made.page
    expect(page.get_by_text("No callback has failed.")).to_be_visible()
    expect(page.get_by_text("failing.lua").first).to_be_visible()
    stored = site.upload(make_study(1))
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
