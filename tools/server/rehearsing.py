"""What a dry replay of scripts works with: the archive for reading, and nothing that reaches another part of the server, or another one."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from actors.services.lua.deliverer import Targets
from actors.services.lua.dry_run import show
from actors.services.lua.recorded import RecordedDeliveries
from actors.services.lua.rehearsal import Rehearsal
from actors.services.scripts.board import Board
from actors.services.scripts.replays import Rehearsed
from actors.wire.bridge.channel import open_local_channel
from api.app import create_application
from api.rest.serving.in_process import InProcess
from events.errors import Busy
from store.environment import Environment
from store.views.metadata import MetadataNaming
from tools.server.composition import ServerSettings
from tools.server.facilities import Facilities
from tools.server.links import Links

_OF_SCRIPTS: Final = ("actors.services.lua", "api.rest.serving.in_process")  # loggers


@contextmanager
def rehearsing(
    settings: ServerSettings, environment: Environment, tell: Callable[[Rehearsed], None], board: Board | None = None
) -> Iterator[Rehearsal]:
    """Have a rehearsal on an archive, which `environment` reads."""
    # Nothing that may be made again is kept in the archive's folder either.
    settings = replace(settings, rest=replace(settings.rest, read_only=True))
    facilities = Facilities(settings, _links(environment))
    try:
        deps = replace(facilities.deps, peer_client=_refuse, dicomweb_client=_refuse)  # GET …/system asks a peer
        rehearsal = Rehearsal(
            settings.lua,
            InProcess(create_application(deps), settings.lua.limits.answer_bytes).call,
            facilities.views,
            RecordedDeliveries(
                facilities.views,
                facilities.blobs,
                lambda: facilities.runtime.ingest().default_encoding,
                MetadataNaming(facilities.deps.settings.user_metadata),
            ),
            Targets(
                modalities=lambda: {modality.name for modality in facilities.modalities.list()},
                peers=lambda: {peer.name for peer in facilities.peers.list()},
            ),
            tell,
            board,
        )
        with _heard(rehearsal.note):
            yield rehearsal
    finally:
        facilities.close()


def _links(environment: Environment) -> Links:
    nobody = open_local_channel(lambda _, reply: reply(None, _refusal()))
    return Links(
        name="lua-replay",
        ask=_refuse,
        begin=_refuse,
        jobs=nobody,
        log_watch=nobody,
        control=_refuse,
        environment=environment,
    )


def _refuse(*_: Any) -> Any:
    raise _refusal()


def _refusal() -> Busy:
    return Busy("this is a dry replay of scripts, in which nothing is done")


class _Heard(logging.Handler):
    """Tells what the log would have said of a script's calls, such as why RestApiGet() gave it nil."""

    def __init__(self, note: Callable[[str, str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note("log", show(record.getMessage().encode()))


@contextmanager
def _heard(note: Callable[[str, str], None]) -> Iterator[None]:
    handler = _Heard(note)
    for name in _OF_SCRIPTS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in _OF_SCRIPTS:
            logging.getLogger(name).removeHandler(handler)
