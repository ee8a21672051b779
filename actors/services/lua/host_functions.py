"""Functions of ours that scripts call, and what is kept of what scripts print."""

import logging
from collections.abc import Callable
from typing import Any, Final

from actors.services.scripts.errors import HostError
from actors.services.scripts.values import TooComplex

log = logging.getLogger(__name__)

PRINTED_BYTES: Final = 16 << 20  # by a chunk, in an answer; half of what the bridge takes
TOO_MUCH: Final = f"the script has printed more than {PRINTED_BYTES >> 20} MB"

HostFunction = Callable[..., Any]
"""Takes the script's arguments as values (see `values`); returns one value, or `Results` for none or several.
Raises HostError for an error that the script gets to see."""


class Results(tuple[Any, ...]):
    """The results of a host function that returns none or several."""

    __slots__ = ()


class Printed:
    """What a chunk prints, as far as it goes into its answer: no limit of Lua's counts that memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._size = 0

    def add(self, line: bytes) -> None:
        self._size += len(line) + 1
        if not self.is_too_much:
            self.lines.append(line)

    @property
    def is_too_much(self) -> bool:
        return self._size > PRINTED_BYTES


def guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let no exception of Python into Lua, where a script could keep it."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (HostError, TooComplex, TypeError) as exc:
            return False, f"{name}: {exc}".encode() if not isinstance(exc, HostError) else str(exc).encode(
                "utf-8", "surrogateescape"
            )
        except Exception:
            log.exception("lua-function-failed %s", name)
            return False, f"internal error in {name}()".encode()

    return call
