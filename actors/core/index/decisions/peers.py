"""Decisions about peers. A peer that holds for this run is a setting, which has its secrets; its event has none."""

from dataclasses import fields
from typing import Final

import msgpack

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.messages.commands import peers as commands
from events import peers as events
from store.tables import PEERS, SETTINGS, peer_key
from store.views.peers import NO_PEER, PEER_SETTINGS

_TOLD: Final = tuple(field.name for field in fields(events.PeerChanged))


def _store_peer(command: commands.StorePeer, _: Context) -> Steps:
    yield Planned(events.PeerStored(**command.values))


def _remove_peer(command: commands.RemovePeer, context: Context) -> Steps:
    context.outcome.reply = context.batch.get(PEERS, peer_key(command.name)) is not None
    if context.outcome.reply:
        yield Planned(events.PeerRemoved(name=command.name))


def _change_peer(command: commands.ChangePeer, context: Context) -> Steps:
    values = command.values
    context.batch.put(SETTINGS, (PEER_SETTINGS + values["name"]).encode(), msgpack.packb(values))
    yield Planned(events.PeerChanged(**{name: values[name] for name in _TOLD}))


def _drop_peer(command: commands.DropPeer, context: Context) -> Steps:
    context.batch.put(SETTINGS, (PEER_SETTINGS + command.name).encode(), msgpack.packb(NO_PEER))
    yield Planned(events.PeerDropped(name=command.name))


DECISIONS: Decisions = {
    commands.StorePeer: _store_peer,
    commands.RemovePeer: _remove_peer,
    commands.ChangePeer: _change_peer,
    commands.DropPeer: _drop_peer,
}
