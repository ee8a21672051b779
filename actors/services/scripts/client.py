"""How an interpreter is asked from elsewhere: over its own bridge, or within its process."""

from collections.abc import Callable
from typing import Any

from actors.messages.scripts import Call, Execute, ScriptRequest
from actors.services.scripts.board import Board
from actors.services.scripts.errors import Cause, ScriptFailed
from actors.services.scripts.settings import PATIENCE_S

Ask = Callable[[ScriptRequest, float], Any]  # a request and how many seconds to wait; raises Busy


class ScriptsClient:
    """One interpreter, as others see it. Thread-safe."""

    def __init__(self, board: Board, ask: Ask) -> None:
        self.board = board
        self._ask = ask

    def defines(self, name: str) -> bool:
        """Tell whether scripts define a callback; costs less than a microsecond."""
        return self.board.defines(name)

    def call(
        self, name: str, *arguments: Any, correlation: bytes = b"", timeout_s: float = PATIENCE_S
    ) -> tuple[Any, ...]:
        """Call a callback and return its results.

        `correlation` is that of the request it is called for: if a callback under way has caused that, it is served within
        that callback. Raises ScriptFailed; Busy if the interpreter has no time, or has died of it.
        """
        return tuple(_result(self._ask(Call(name, list(arguments), correlation), timeout_s)))

    def execute(self, source: bytes, correlation: bytes = b"", *, timeout_s: float = PATIENCE_S) -> bytes:
        """Run a chunk in the scripts' environment; returns what it printed.

        Raises ScriptFailed; Busy if the interpreter has no time for it within `PATIENCE_S`, or has not ended it after `timeout_s`.
        """
        printed: bytes = _result(self._ask(Execute(source, correlation), timeout_s))
        return printed


def _result(answer: list[Any]) -> Any:
    if answer[0] == "done":
        return answer[1]
    raise ScriptFailed(answer[1], cause=Cause(answer[2]))
