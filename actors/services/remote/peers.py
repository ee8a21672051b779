"""Which peers there are: those of the configuration, as REST has changed them; the same in every process.

With `OrthancPeersInDatabase` the configuration's are left alone and what REST stores outlives restarts. Without it, REST changes the
configuration's for this run: each changed peer is a runtime setting of its own. Both are events. Source: observed on Orthanc 1.12.7.
"""

from collections.abc import Sequence
from typing import Final

from actors.messages.index_client import IndexClient
from actors.wire.errors import RemoteFailed
from actors.wire.http.peer import Peer, from_plain, to_plain
from store.views.peers import find_changed_peers, list_stored_peers
from store.views.views import Views

UNKNOWN_PEER: Final = 17  # Orthanc's number


class Peers:
    """Thread-safe; one per process."""

    def __init__(
        self, configured: Sequence[Peer], views: Views, index: IndexClient, *, is_stored: bool = False
    ) -> None:
        """`is_stored` is the option OrthancPeersInDatabase."""
        self._configured = {peer.name: peer for peer in configured}
        self._views = views
        self._index = index
        self._is_stored = is_stored

    def list(self) -> tuple[Peer, ...]:
        """Return all peers in the order of their names."""
        known = self._now()
        return tuple(known[name] for name in sorted(known))

    def find(self, name: str) -> Peer | None:
        return self._now().get(name)

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

    def _now(self) -> dict[str, Peer]:
        with self._views.snapshot() as snapshot:
            if self._is_stored:
                return {row["name"]: from_plain(row) for row in list_stored_peers(snapshot)}
            changed = find_changed_peers(snapshot)
        known = dict(self._configured)
        for name, values in changed.items():
            if values is None:
                known.pop(name, None)
            else:
                known[name] = from_plain(values)
        return known
