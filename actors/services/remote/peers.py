"""Which peers there are."""

from collections.abc import Sequence
from typing import Final

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
        super().__init__(configured, views, PEER_ROWS, from_plain, is_stored=is_stored)
        self._index = index

    def get(self, name: str) -> Peer:
        """Return a peer. Raises RemoteFailed if there is none of this name."""
        peer = self.find(name)
        if peer is None:
            raise RemoteFailed(f"No peer with symbolic name: {name}", code=UNKNOWN_PEER, http_status=404)
        return peer

    def put(self, peer: Peer, correlation: bytes = b"") -> None:
        """Add or replace a peer, for every process at once; durable with OrthancPeersInDatabase."""
        self._index.store_peer(to_plain(peer), correlation, outlives_the_run=self._is_stored)

    def remove(self, name: str, correlation: bytes = b"") -> bool:
        """Remove a peer; returns whether there was one."""
        if self._is_stored:
            return self._index.remove_peer(name, correlation)
        if self.find(name) is None:
            return False
        self._index.drop_peer(name, correlation)
        return True
