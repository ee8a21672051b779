"""The modalities that REST has stored (`DicomModalitiesInDatabase`), and those that it has changed until the next start."""

from typing import Any, Final

from store.projections.server import unpack_modality
from store.tables import MODALITIES
from store.views.snapshot import Snapshot

MODALITY_SETTINGS: Final = "Modality-"  # how the names of the runtime settings begin that hold a modality each
NO_MODALITY: Final = False  # such a setting's value, where the modality of the configuration was removed


def list_stored_modalities(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return every stored modality as the plain values of its event."""
    with snapshot.txn.cursor(db=snapshot.tables[MODALITIES]) as cursor:
        return [unpack_modality(row) for row in cursor.iternext(keys=False)]


def find_changed_modalities(snapshot: Snapshot) -> dict[str, dict[str, Any] | None]:
    """Return what REST has changed for this run, by name: the plain values of an event, None where a modality was removed."""
    return {name: values or None for name, values in snapshot.settings(MODALITY_SETTINGS).items()}
