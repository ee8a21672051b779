"""Errors to DIMSE statuses of C-STORE and C-FIND (PS3.4 Tables B.2-1 and C.4-1, PS3.7 Annex C). No other module knows a status number."""

from events.errors import Busy, InvalidDicom, StorageFull

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATASET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
CANNOT_UNDERSTAND = 0xC000

PENDING = 0xFF00
CANCELLED = 0xFE00


class DatasetMismatch(InvalidDicom):
    """The dataset's SOP class or instance is not the one the command names."""


_STORE_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (DatasetMismatch, DATASET_DOES_NOT_MATCH_SOP_CLASS),
    (StorageFull, OUT_OF_RESOURCES),
    (Busy, OUT_OF_RESOURCES),  # the sender may try again; Orthanc has no such state
)


def store_status(error: Exception) -> int:
    """The status of a C-STORE that failed; for whatever has no row Orthanc says 0xC000, and so do we."""
    return next((status for kind, status in _STORE_STATUSES if isinstance(error, kind)), CANNOT_UNDERSTAND)


def find_status(error: Exception) -> int:
    """The status of a C-FIND that failed: as from Orthanc 0xC000, but 0xA700 where the peer may try again."""
    return OUT_OF_RESOURCES if isinstance(error, Busy) else CANNOT_UNDERSTAND
