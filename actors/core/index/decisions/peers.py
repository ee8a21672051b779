"""Decisions about peers. A peer that holds for this run is a setting, which has its secrets; its event has none."""

from dataclasses import fields
from typing import Final

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.decisions.server import put_setting
from actors.messages.commands import peers as commands
from events import peers as events
from store.tables import PEERS, remote_key
from store.views.remotes import PEER_ROWS, REMOVED

_TOLD: Final = tuple(field.name for field in fields(events.PeerChanged))


def _store_peer(command: commands.StorePeer, _: Context) -> Steps:
    yield Planned(events.PeerStored(**command.values))


def _remove_peer(command: commands.RemovePeer, context: Context) -> Steps:
    context.outcome.reply = context.batch.get(PEERS, remote_key(command.name)) is not None
    if context.outcome.reply:
        yield Planned(events.PeerRemoved(name=command.name))


def _change_peer(command: commands.ChangePeer, context: Context) -> Steps:
    values = command.values
    put_setting(context.batch, PEER_ROWS.settings + values["name"], values)
    yield Planned(events.PeerChanged(**{name: values[name] for name in _TOLD}))


def _drop_peer(command: commands.DropPeer, context: Context) -> Steps:
    put_setting(context.batch, PEER_ROWS.settings + command.name, REMOVED)
    yield Planned(events.PeerDropped(name=command.name))


DECISIONS: Decisions = {
    commands.StorePeer: _store_peer,
    commands.RemovePeer: _remove_peer,
    commands.ChangePeer: _change_peer,
    commands.DropPeer: _drop_peer,
}
