"""The options about scripts: `LuaScripts` and its like, as the interpreters are told of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from actors.services.scripts.limits import Limits
from actors.services.scripts.settings import LuaSettings
from events.errors import BadConfiguration
from events.options import Option, Texts
from tools.configuration.values import Values

LUA_SCRIPTS: Final = Option("LuaScripts", Texts(), [])
OPTIONS: Final = (LUA_SCRIPTS,)


def list_scripts(entries: Sequence[str], folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files behind `LuaScripts` in their order, and what is wrong with the entries.

    A relative path begins at `folder`; a folder stands for the `.lua` files directly in it, in the order of their names.
    """
    scripts: list[Path] = []
    problems: list[str] = []
    for entry in entries:
        path = folder / entry
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() == ".lua" and file.is_file())
            scripts += found
            if not found:
                problems.append(f"{path} holds no .lua files")
        elif path.is_file():
            scripts.append(path)
        else:
            problems.append(f"{path} is not a file or folder")
    return scripts, problems


def with_sources(settings: LuaSettings) -> LuaSettings:
    """Read the scripts, so that an interpreter that is started again has those of its server's start.

    Else an edit that is not finished would keep it from starting, and two interpreters might run two versions.
    Raises BadConfiguration.
    """
    sources = []
    for script in settings.scripts:
        try:
            sources.append(script.read_bytes())
        except OSError as exc:
            raise BadConfiguration(f"LuaScripts: {script}: {exc.strerror}") from exc
    return replace(settings, sources=tuple(sources))


def read_lua(values: Values, scripts: Sequence[Path]) -> LuaSettings:
    """Return the settings with these scripts; they tell scripts all options."""
    return values.fill(LuaSettings, scripts=tuple(scripts), limits=values.fill(Limits), configuration=values.given)
