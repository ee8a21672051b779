"""Remotes, that is modalities, peers and DICOMweb servers: those that REST has stored, and those that it has changed until the next start.

They are stored with `DicomModalitiesInDatabase`, `OrthancPeersInDatabase` and the member `ServersInDatabase` of `DicomWeb`.
"""

from dataclasses import dataclass
from typing import Any, Final

from store.projections.remotes import unpack_remote
from store.tables import DICOMWEB_SERVERS, MODALITIES, PEERS
from store.views.snapshot import Snapshot

REMOVED: Final = False  # value of a setting of the run, where the remote of the configuration was removed


@dataclass(frozen=True, slots=True)
class RemoteRows:
    """Where remotes of a kind lie."""

    table: bytes  # of those that are stored
    settings: str  # how the names of the runtime settings begin that hold one each

    def list_stored(self, snapshot: Snapshot) -> list[dict[str, Any]]:
        """Return every stored remote as the plain values of its event."""
        with snapshot.txn.cursor(db=snapshot.tables[self.table]) as cursor:
            return [unpack_remote(row) for row in cursor.iternext(keys=False)]

    def find_changed(self, snapshot: Snapshot) -> dict[str, dict[str, Any] | None]:
        """Return what REST has changed for this run, by name: plain values, None where a remote was removed."""
        return {name: values or None for name, values in snapshot.settings(self.settings).items()}


MODALITY_ROWS: Final = RemoteRows(MODALITIES, "Modality-")
PEER_ROWS: Final = RemoteRows(PEERS, "Peer-")
DICOMWEB_ROWS: Final = RemoteRows(DICOMWEB_SERVERS, "DicomWebServer-")
