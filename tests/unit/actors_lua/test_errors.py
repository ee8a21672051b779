"""How failures are told."""

from pathlib import Path

import pytest

from actors.services.scripts.errors import ScriptFailed, describe_loading


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("/lua/a.lua:3: unexpected symbol", "/lua/a.lua:3: unexpected symbol"),
        ("...a.lua:3: unexpected symbol", "/lua/a.lua: ...a.lua:3: unexpected symbol"),  # Lua shortens long paths
        ("not enough memory", "/lua/a.lua: not enough memory"),
    ],
)
def test_a_script_that_cannot_be_loaded_is_named_once(message: str, told: str) -> None:
    assert describe_loading(Path("/lua/a.lua"), ScriptFailed(message)) == told
