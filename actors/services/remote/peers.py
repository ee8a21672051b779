"""Which peers there are."""

from collections.abc import Sequence
from typing import Final

from actors.messages.commands.remotes import OF_PEERS
from actors.messages.index_client import IndexClient
from actors.services.remote.named_remotes import NamedRemotes
from actors.wire.errors import RemoteFailed
from actors.wire.http.peer import Peer, from_plain, to_plain
from store.views.remotes import PEER_ROWS
from store.views.views import Views

UNKNOWN_PEER: Final = 17  # Orthanc's number


class Peers(NamedRemotes[Peer]):
    """Thread-safe; one per process."""

    def __init__(
        self, configured: Sequence[Peer], views: Views, index: IndexClient, *, is_stored: bool = False
    ) -> None:
        """`is_stored` is the option OrthancPeersInDatabase."""
        super().__init__(configured, views, PEER_ROWS, from_plain, to_plain, index, OF_PEERS, is_stored=is_stored)

    def get(self, name: str) -> Peer:
        """Return a peer. Raises RemoteFailed if there is none of this name."""
        peer = self.find(name)
        if peer is None:
            raise RemoteFailed(f"No peer with symbolic name: {name}", code=UNKNOWN_PEER, http_status=404)
        return peer
