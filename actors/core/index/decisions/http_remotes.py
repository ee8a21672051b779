"""How it is decided about remotes that are asked over HTTP. One that holds for this run is a setting, which has its secrets; its event has none."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.decisions.server import put_setting
from actors.messages.commands import peers as commands
from actors.messages.commands.remotes import RemoteCommands
from events import peers
from events.event import Event
from store.tables import remote_key
from store.views.remotes import REMOVED, RemoteRows

_TOLD: Final = tuple(field.name for field in fields(peers.PeerChanged))


@dataclass(frozen=True, slots=True)
class HttpRemoteKind:
    """One kind of such remotes: where they lie, and its events."""

    rows: RemoteRows
    stored: type[Event]
    removed: type[Event]
    changed: type[Event]
    dropped: type[Event]

    def store(self, command: commands.StorePeer, _: Context) -> Steps:
        yield Planned(_made(self.stored, command.values))

    def remove(self, command: commands.RemovePeer, context: Context) -> Steps:
        context.outcome.reply = context.batch.get(self.rows.table, remote_key(command.name)) is not None
        if context.outcome.reply:
            yield Planned(_made(self.removed, {"name": command.name}))

    def change(self, command: commands.ChangePeer, context: Context) -> Steps:
        values = command.values
        put_setting(context.batch, self.rows.settings + values["name"], values)
        yield Planned(_made(self.changed, {name: values[name] for name in _TOLD}))

    def drop(self, command: commands.DropPeer, context: Context) -> Steps:
        put_setting(context.batch, self.rows.settings + command.name, REMOVED)
        yield Planned(_made(self.dropped, {"name": command.name}))

    def decisions(self, asked: RemoteCommands) -> Decisions:
        return {asked.store: self.store, asked.remove: self.remove, asked.change: self.change, asked.drop: self.drop}


def _made(kind: type[Event], values: Mapping[str, Any]) -> Event:
    return kind(**values)
