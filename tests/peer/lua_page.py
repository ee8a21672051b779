"""The scripts of the Orthanc Book's page on Lua, for `test_lua_examples.py`: its own, or ours of the same kinds.

The page is under another licence than this project, so `lua/` has scripts in words of our own. Whoever has the page's text sets SINOGRAM_LUA_PAGE
to its path: then its scripts run, as they stand.
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import Final

from tests.peer.lua_stage import SCRIPTS

PAGE: Final = os.environ.get("SINOGRAM_LUA_PAGE", "")
# In the order of the page, by the function that each defines.
_ORDER: Final = {
    "ReceivedInstanceFilter": ("only_mr", "print_received"),
    "IncomingHttpRequestFilter": ("rest_admin",),
    "OnStoredInstance": ("autorouting", "autorouting_conditional", "autorouting_modify", "autorouting_modification"),
    "IncomingFindRequestFilter": ("find_incoming",),
    "IncomingWorklistRequestFilter": ("find_worklist",),
    "OutgoingFindRequestFilter": ("find_outgoing",),
}
_BEGIN: Final = re.compile(r"\s*function (\w+)\(")
_OPENS: Final = re.compile(r"\b(?:function|if|for|while)\b")
_CLOSES: Final = re.compile(r"\bend\b")
# What the scripts put into a modified instance.
STATION: Final = "My Medical Device" if PAGE else "Station 7"
PRIVATE: Final = "Some private tag" if PAGE else "private"


def example(name: str) -> str:
    """Return a script by the name that it has in `lua/`."""
    return _page()[name] if PAGE else (SCRIPTS / f"{name}.lua").read_text()


@cache
def _page() -> dict[str, str]:
    lines = Path(PAGE).read_text("utf-8").splitlines()
    found: dict[str, list[str]] = {name: [] for name in _ORDER}
    for place, line in enumerate(lines):
        begin = _BEGIN.match(line)
        if begin and begin[1] in found:
            found[begin[1]].append(_block(lines[place:]))
    scripts: dict[str, str] = {}
    for function, names in _ORDER.items():
        assert len(found[function]) == len(names), f"{function}: the page has {len(found[function])} of them"
        scripts.update(zip(names, found[function], strict=True))
    first = next(place for place, line in enumerate(lines) if line.strip().startswith("local preview ="))
    last = next(place for place, line in enumerate(lines[first:], first) if line.strip().startswith("HttpPost("))
    snippet = "\n".join(lines[first : last + 1])
    return scripts | {"preview_to_web_service": f"function OnStoredInstance(instanceId)\n{snippet}\nend\n"}


def _block(lines: list[str]) -> str:
    """Return the function that begins in the first line."""
    depth = 0
    for number, line in enumerate(lines, 1):
        code = line.partition("--")[0]
        depth += len(_OPENS.findall(code)) - len(_CLOSES.findall(code))
        if not depth:
            return "\n".join(lines[:number]) + "\n"
    raise AssertionError("a function of the page has no end")
