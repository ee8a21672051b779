"""The peers that REST has stored (`OrthancPeersInDatabase`), and those that it has changed until the next start."""

from typing import Any, Final

from store.projections.peers import unpack_peer
from store.tables import PEERS
from store.views.snapshot import Snapshot

PEER_SETTINGS: Final = "Peer-"  # how the names of the runtime settings begin that hold a peer each
NO_PEER: Final = False  # such a setting's value, where the peer of the configuration was removed


def list_stored_peers(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return every stored peer as the plain values of its event."""
    with snapshot.txn.cursor(db=snapshot.tables[PEERS]) as cursor:
        return [unpack_peer(row) for row in cursor.iternext(keys=False)]


def find_changed_peers(snapshot: Snapshot) -> dict[str, dict[str, Any] | None]:
    """Return what REST has changed for this run, by name: plain values, None where a peer was removed."""
    return {name: values or None for name, values in snapshot.settings(PEER_SETTINGS).items()}
