"""What scripts would do for past events, told and not done.

One interpreter, in which only the scripts given are loaded, has its callbacks called for a part of the log, in the order of the log. Events are as
they were; what a script reads is as it is now. A callback is told of as a whole once it has ended, so whoever reads slowly takes none of its time.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from actors.services.lua import chain
from actors.services.lua.chain import Chain
from actors.services.lua.deliverer import Targets
from actors.services.lua.dry_run import GUARD, DryRun, describe_operations, show
from actors.services.lua.events import Delivery
from actors.services.lua.functions import Rest, configuration_function
from actors.services.lua.recorded import RecordedDeliveries
from actors.services.lua.runtime import Interpreter
from actors.services.scripts import callbacks
from actors.services.scripts.board import Board
from actors.services.scripts.errors import ScriptFailed
from actors.services.scripts.replays import NO_SEQ, Rehearsed
from actors.services.scripts.settings import LuaSettings
from events import envelope
from events.identifiers import Seq
from store.environment import Environment
from store.log import scan
from store.views.views import Views


class Rehearsal:
    """See the module's text. For one thread; `counts` has the events, the calls of each callback, and the effects of each kind."""

    def __init__(
        self,
        settings: LuaSettings,
        rest: Rest,
        views: Views,
        reader: RecordedDeliveries,
        targets: Targets,
        tell: Callable[[Rehearsed], None],
        board: Board | None = None,
    ) -> None:
        """`rest` answers what only reads. On `board` one sees what is under way, and whether it is stuck."""
        self.counts: Counter[str] = Counter()
        self.position = NO_SEQ
        self._reader = reader
        self._targets = targets
        self._tell = tell
        self._board = board or Board()
        self._chain = Chain(sandbox=settings.sandbox)
        self._current = Rehearsed(callback="")
        functions = DryRun(rest, views, self.note).functions()
        self._interpreter = Interpreter(
            functions | configuration_function(settings.configuration) | self._chain.functions(),
            limits=settings.limits,
            sandbox=settings.sandbox,
            output=lambda line: self.note("print", show(line)),
            pulse=self._board.heartbeat,
        )
        self._interpreter.load(GUARD, "dry-run")

    def note(self, kind: str, text: str) -> None:
        """Take an effect of what is under way."""
        self.counts[kind] += 1
        self._current.note(kind, text)

    def load(self, name: str, source: bytes) -> None:
        """Run a script, whose functions replace those of the same names. Raises ScriptFailed."""
        with self._telling(Rehearsed(callback="", subject=name)) as told:
            self._interpreter.load(source, name)
        if told.failure is not None:
            raise told.failure

    def run(self, environment: Environment, since: int, until: int | None) -> Iterator[Seq]:
        """Call the callbacks of the events from `since` to `until`, both included; yields each event that it has passed."""
        self._call_at_the_edge(callbacks.INITIALIZE)
        for seq, row, personal in scan(environment, since - 1, until):
            self._pass(seq, row, personal)
            yield seq
        self._call_at_the_edge(callbacks.FINALIZE)

    def _pass(self, seq: Seq, row: bytes, personal: bytes | None) -> None:
        caused = self._reader.read(seq, row, personal, self._interpreter.defines)
        at_us = envelope.decode_record(seq, row).at_us if caused.deliveries else 0
        for number, delivery in caused.deliveries:
            self._board.begin(seq, number)
            self._deliver(seq, at_us, delivery)
            self._board.end()
        self.counts["events"] += 1
        self.position = seq

    def _call_at_the_edge(self, name: str) -> None:
        if self._interpreter.defines(name):
            self._deliver(NO_SEQ, 0, Delivery(callback=name, arguments=()))

    def _deliver(self, seq: Seq, at_us: int, delivery: Delivery) -> None:
        self.counts[delivery.callback] += 1
        rehearsed = Rehearsed(
            seq=seq,
            at_us=at_us,
            callback=delivery.callback,
            subject=delivery.arguments[0] if delivery.arguments else "",
            is_partial=bool(seq) and self._reader.is_partial,
        )
        with self._telling(rehearsed), self._chain.collecting() as operations:
            self._interpreter.call(delivery.callback, *delivery.arguments)
            if operations:
                chain.check(operations, self._targets.modalities(), self._targets.peers())
            for operation in describe_operations(operations):
                self.note("job", operation)

    @contextmanager
    def _telling(self, rehearsed: Rehearsed) -> Iterator[Rehearsed]:
        """Within the block, effects are those of one call; then it is told, whatever its end was."""
        self._current = rehearsed
        began_s = time.perf_counter()
        try:
            yield rehearsed
        except ScriptFailed as exc:
            self.counts["failed"] += 1
            rehearsed.failure = exc
        rehearsed.seconds = time.perf_counter() - began_s
        self._tell(rehearsed)
