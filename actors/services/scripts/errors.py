"""How a script fails."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from events.errors import SinogramError

_PLACE: Final = re.compile(r"(.+?):([0-9]{1,9}): ")  # Lua's own form


class Cause(StrEnum):
    ERROR = "error"  # raised by the script or a library
    SYNTAX = "syntax"
    TIME = "time"
    INSTRUCTIONS = "instructions"
    MEMORY = "memory"


class ScriptFailed(SinogramError):
    """A chunk or a callback did not end well; `str()` is Lua's message, with the script's file and line where Lua gives them."""

    def __init__(self, message: str, *, cause: Cause = Cause.ERROR, trace: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.trace = trace  # Lua's traceback, for the log; empty where there is none


def describe_loading(script: Path, failure: ScriptFailed) -> str:
    """Return why a script could not be loaded, with its file, which Lua names in most messages."""
    return failure.message if failure.message.startswith(f"{script}:") else f"{script}: {failure.message}"


def place_of(message: str) -> tuple[str | None, int | None]:
    """Return the script and the line that a message of Lua begins with, as far as it does."""
    found = _PLACE.match(message)
    return (found[1], int(found[2])) if found else (None, None)


class HostError(Exception):
    """What a host function raises to raise an error in the script: its text is the message."""


def killed() -> ScriptFailed:
    """The failure of the callback in which an interpreter was killed."""
    return ScriptFailed("the interpreter was stuck in this callback and has been killed", cause=Cause.TIME)
