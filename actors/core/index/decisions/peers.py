"""Decisions about peers."""

from actors.core.index.context import Decisions
from actors.core.index.decisions.http_remotes import HttpRemoteKind
from actors.messages.commands.remotes import OF_PEERS
from events.peers import PeerChanged, PeerDropped, PeerRemoved, PeerStored
from store.views.remotes import PEER_ROWS

DECISIONS: Decisions = HttpRemoteKind(PEER_ROWS, PeerStored, PeerRemoved, PeerChanged, PeerDropped).decisions(OF_PEERS)
