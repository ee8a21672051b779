"""Scripts in an interpreter of this process, asked as if it were another: what is said crosses in the bridge's bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from actors.messages.scripts import SCRIPTS, Call, ScriptRequest
from actors.services.lua.actor import ScriptsActor
from actors.services.lua.runtime import Interpreter
from actors.services.scripts import callbacks
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.script_filters import ScriptFilters
from actors.wire.bridge import frames


@dataclass
class Scripts:
    """A client of the interpreter, what it was asked, and what was printed."""

    client: ScriptsClient
    asked: list[ScriptRequest] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    @property
    def filters(self) -> ScriptFilters:
        """The same interpreter for all filters, which a server has two of."""
        return ScriptFilters(self.client, self.client)

    def calls(self, name: str) -> list[list[Any]]:
        """The arguments of each call of a callback."""
        return [asked.arguments for asked in self.asked if isinstance(asked, Call) and asked.name == name]


def _crossed(values: Any) -> Any:
    return frames.decode(frames.encode(values)[frames.LENGTH.size :])


@contextmanager
def run_scripts(source: str) -> Iterator[Scripts]:
    """Run a script until the block is left."""
    board = Board()
    printed: list[str] = []
    interpreter = Interpreter(output=lambda line: printed.append(line.decode("utf-8", "replace")))
    interpreter.load(source.encode(), "test.lua")
    actor = ScriptsActor("lua-test", interpreter, board, on_failed=lambda _name, _failure: None)

    def ask(request: ScriptRequest, timeout_s: float) -> Any:
        arrived = SCRIPTS.read(_crossed(SCRIPTS.write(request)))
        scripts.asked.append(arrived)
        return _crossed(actor.ask(arrived, timeout_s))

    scripts = Scripts(ScriptsClient(board, ask), printed=printed)
    actor.start()
    assert set(interpreter.defined(callbacks.ALL)) == set(board.defined())
    try:
        yield scripts
    finally:
        actor.stop()
