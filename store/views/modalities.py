"""The modalities that REST has stored (`DicomModalitiesInDatabase`)."""

from typing import Any

from store.projections.server import unpack_modality
from store.tables import MODALITIES
from store.views.snapshot import Snapshot


def list_stored_modalities(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return every stored modality as the plain values of its event."""
    with snapshot.txn.cursor(db=snapshot.tables[MODALITIES]) as cursor:
        return [unpack_modality(row) for row in cursor.iternext(keys=False)]
