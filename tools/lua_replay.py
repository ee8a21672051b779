"""`sinogram lua replay`: shows what scripts would have done for past events, without doing it.

The callbacks of events are called in this process, in the order of the log, with an interpreter that has only the scripts given. The
archive is opened for reading, whether its server runs or not. Events are as they were; what a script reads by RestApiGet() is as it
is now.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from actors.services.lua import chain
from actors.services.lua.chain import Chain
from actors.services.lua.events import Delivery
from actors.services.lua.functions import configuration_function
from actors.services.lua.runtime import Interpreter
from actors.services.scripts import callbacks
from actors.services.scripts.errors import ScriptFailed, describe_loading
from actors.wire.bridge.channel import open_local_channel
from api.app import create_application
from api.rest.serving.in_process import InProcess
from events import envelope
from events.errors import BadConfiguration, Busy
from events.identifiers import Seq
from store.environment import Environment
from store.log import scan
from store.views.metadata import MetadataNaming
from tools.lua_dry_run import GUARD, DryRun, describe_operations, show
from tools.lua_recorded import RecordedDeliveries
from tools.replay import open_for_reading
from tools.server.composition import ServerSettings
from tools.server.facilities import Facilities
from tools.server.links import Links

KIND_WIDTH: Final = 11
NO_SEQ: Final = Seq(0)


def replay_scripts(settings: ServerSettings, scripts: Sequence[Path], *, since: int, until: int | None = None) -> int:
    """Run the scripts' callbacks for the events from `since` to `until`, both included.

    Returns the exit status: 0, or 1 if a callback failed. Raises BadConfiguration for a script that cannot be loaded.
    """
    with open_for_reading(settings.index_directory) as environment:
        facilities = _facilities(settings, environment)
        try:
            rehearsal = Rehearsal(settings, facilities, scripts)
            rehearsal.run(environment, since, until)
        finally:
            facilities.close()
    rehearsal.print_summary()
    return 1 if rehearsal.counts["failed"] else 0


def _facilities(settings: ServerSettings, environment: Environment) -> Facilities:
    """What answers GET requests; nothing in it reaches a server."""

    def refuse(*_: Any) -> Any:
        raise Busy("this is a dry run")

    nobody = open_local_channel(lambda _, reply: reply(None, Busy("this is a dry run")))
    links = Links(
        name="lua-replay",
        ask=refuse,
        begin=refuse,
        jobs=nobody,
        log_watch=nobody,
        control=refuse,
        environment=environment,
    )
    return Facilities(settings, links)


class Rehearsal:
    """One interpreter, and what its callbacks would do."""

    def __init__(self, settings: ServerSettings, facilities: Facilities, scripts: Sequence[Path]) -> None:
        """Load the scripts. Raises BadConfiguration."""
        self._own = facilities
        self._chain = Chain(sandbox=settings.lua.sandbox)
        self._peers = set(settings.lua.configuration.get("OrthancPeers", {}))
        self._heading = ""
        self._reader_gone: BrokenPipeError | None = None
        self.counts: Counter[str] = Counter()
        rest = InProcess(create_application(facilities.deps))
        functions = DryRun(rest.call, facilities.views, self._note).functions()
        self._interpreter = Interpreter(
            functions | configuration_function(settings.lua.configuration) | self._chain.functions(),
            limits=settings.lua.limits,
            sandbox=settings.lua.sandbox,
            output=lambda line: self._note("print", show(line)),
        )
        self._interpreter.load(GUARD, "dry-run")
        self._reader = RecordedDeliveries(
            facilities.views,
            facilities.blobs,
            lambda: facilities.runtime.ingest().default_encoding,
            MetadataNaming(facilities.deps.settings.user_metadata),
        )
        for script in scripts:
            self._load(script)

    def _load(self, script: Path) -> None:
        self._heading = f"{'-':>10}  {script} is loaded"
        try:
            self._interpreter.load_file(script)
        except (OSError, ScriptFailed) as exc:
            told = f"{script}: {exc.strerror}" if isinstance(exc, OSError) else describe_loading(script, exc)
            raise BadConfiguration(told) from exc
        self._check_reader()

    def run(self, environment: Environment, since: int, until: int | None) -> None:
        self._call_at_the_edge(callbacks.INITIALIZE)
        for seq, row, personal in scan(environment, since - 1, until):
            self.counts["events"] += 1
            caused = self._reader.read(seq, row, personal, self._interpreter.defines)
            at_us = envelope.decode_record(seq, row).at_us if caused.deliveries else 0
            for _, delivery in caused.deliveries:
                self._deliver(seq, at_us, delivery)
        self._call_at_the_edge(callbacks.FINALIZE)

    def _call_at_the_edge(self, name: str) -> None:
        if self._interpreter.defines(name):
            self._deliver(NO_SEQ, 0, Delivery(callback=name, arguments=()))

    def _deliver(self, seq: Seq, at_us: int, delivery: Delivery) -> None:
        self._heading = _heading(seq, at_us, delivery, is_partial=self._reader.is_partial)
        self.counts[delivery.callback] += 1
        try:
            with self._chain.collecting() as operations:
                self._interpreter.call(delivery.callback, *delivery.arguments)
            if operations:
                modalities = {modality.name for modality in self._own.modalities.list()}
                chain.check(operations, modalities, self._peers)
            for operation in describe_operations(operations):
                self._note("job", operation)
        except ScriptFailed as exc:
            self._note("failed", show(exc.message.encode()))
        self._check_reader()

    def _note(self, kind: str, text: str) -> None:
        """Print what a callback would do; its heading comes with the first of it."""
        self.counts[kind] += 1
        if self._reader_gone:
            return
        try:
            if self._heading:
                print(self._heading)
                self._heading = ""
            print(f"{'':>12}{kind:<{KIND_WIDTH}}{text}")
        except BrokenPipeError as exc:  # it must not go through a script, which could catch it
            self._reader_gone = exc

    def _check_reader(self) -> None:
        if self._reader_gone:
            raise self._reader_gone

    def print_summary(self) -> None:
        counts = self.counts
        print(f"{counts.pop('events', 0)} events")
        for name in (*callbacks.ALL, *sorted(counts.keys() - set(callbacks.ALL))):
            if counts[name]:
                print(f"{counts[name]:>10}  {name}")


def _heading(seq: Seq, at_us: int, delivery: Delivery, *, is_partial: bool) -> str:
    if not seq:
        return f"{'-':>10}  {delivery.callback}"
    when = datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    note = "  (gone since: main tags alone)" if is_partial else ""
    return f"{seq:>10}  {when}  {delivery.callback} {delivery.arguments[0]}{note}"
