"""How a process of the server reaches the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from actors.messages.control import CONTROL, Control
from actors.messages.index_client import Ask, Begin, ask_over, begin_over
from actors.messages.log_watch import LOG_WATCH
from actors.messages.scheduler import SCHEDULER
from actors.services.scripts.client import ScriptsClient
from actors.wire.bridge.channel import Channel, open_channel
from actors.wire.bridge.client import BridgeClient
from store.environment import Environment
from store.views.views import Views
from tools.server.composition import ServerSettings

Word = Literal["shutdown", "reset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The other actors, as gateways, workers and interpreters reach them, whatever the connection is."""

    name: str  # under which this process is known, unique among all that were ever started
    ask: Ask
    begin: Begin
    jobs: Channel
    log_watch: Channel
    control: Callable[[Word], None]
    received: ScriptsClient | None = None  # the interpreter of the received-instance filters
    scripts: ScriptsClient | None = None  # the main one
    environment: Environment | None = (
        None  # the core's, where it lives in the same process; else one is opened for reading
    )


def links_over(
    bridge: BridgeClient, name: str, received: ScriptsClient | None = None, scripts: ScriptsClient | None = None
) -> Links:
    """Return the links of a process of its own."""
    return Links(
        name=name,
        ask=ask_over(bridge),
        begin=begin_over(bridge),
        jobs=open_channel(bridge, SCHEDULER),
        log_watch=open_channel(bridge, LOG_WATCH),
        control=lambda word: bridge.request(CONTROL.actor, CONTROL.write(Control(word))),
        received=received,
        scripts=scripts,
    )


class Reading:
    """The read models of a process. Owns the environment, unless it is the core's."""

    def __init__(self, settings: ServerSettings, links: Links) -> None:
        self._owned = None
        environment = links.environment
        if environment is None:
            environment = self._owned = Environment(settings.index_directory, writable=False)
        self.environment = environment
        self.views = Views(environment)

    def close(self) -> None:
        if self._owned is not None:
            self._owned.close()
