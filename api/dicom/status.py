"""From errors to DIMSE statuses: which status answers which error. The numbers: `actors.wire.dicom.statuses`."""

from typing import Final

from actors.services.scripts.errors import ScriptFailed
from actors.wire.dicom.command import Element
from actors.wire.dicom.statuses import (
    CANNOT_UNDERSTAND,
    DATASET_DOES_NOT_MATCH_SOP_CLASS,
    IDENTIFIER_DOES_NOT_MATCH,
    INVALID_ARGUMENT,
    MOVE_DESTINATION_UNKNOWN,
    NO_SUCH_ACTION_TYPE,
    NO_SUCH_EVENT_TYPE,
    NO_SUCH_INSTANCE,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    UNABLE_TO_COUNT_MATCHES,
    UNABLE_TO_PERFORM_SUBOPERATIONS,
)
from events.errors import (
    Busy,
    CorruptLog,
    DamagedFile,
    InvalidDicom,
    InvalidRequest,
    NotFound,
    PeerFailed,
    ReadOnlyArchive,
    SinogramError,
    StorageFailed,
    StorageFull,
)
from store.dicom.received import DatasetMismatch

_COMMENT_LENGTH: Final = 64  # of Error Comment (PS3.7 Table E.1-1)
_FILTER_FAILED: Final = "The filter of a script has failed"  # its own words may be long, and name paths of this machine


class IdentifierMismatch(InvalidRequest):
    """The identifier of a C-MOVE or C-GET names no resources of its level."""


class UnknownDestination(NotFound):
    """A C-MOVE's destination is no modality of this server."""


class UnknownAction(InvalidRequest):
    """An N-ACTION is not the one that its SOP class has."""


class UnknownEvent(InvalidRequest):
    """An N-EVENT-REPORT is none that its SOP class has."""


class UnknownInstance(InvalidRequest):
    """A request is about another SOP instance than the well-known one of its class."""


_STORE_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (DatasetMismatch, DATASET_DOES_NOT_MATCH_SOP_CLASS),
    (StorageFull, OUT_OF_RESOURCES),
    (ReadOnlyArchive, OUT_OF_RESOURCES),  # so Orthanc
    # A failing disk or index says nothing about the instance: the sender should keep it and send it again.
    (StorageFailed, OUT_OF_RESOURCES),
    (CorruptLog, OUT_OF_RESOURCES),
    (OSError, OUT_OF_RESOURCES),
    (MemoryError, OUT_OF_RESOURCES),
    (Busy, OUT_OF_RESOURCES),  # the sender may try again; Orthanc has no such state
    (ScriptFailed, OUT_OF_RESOURCES),  # a filter; so Orthanc
)


def store_status(error: Exception) -> int:
    """The status of a C-STORE that failed; for errors without a row Orthanc says 0xC000, and so do we."""
    return next((status for kind, status in _STORE_STATUSES if isinstance(error, kind)), CANNOT_UNDERSTAND)


_NOT_THE_PEERS_FAULT = (Busy, StorageFull, StorageFailed, CorruptLog, OSError, MemoryError)


def find_status(error: Exception) -> int:
    """The status of a C-FIND that failed: as from Orthanc 0xC000, but 0xA700 where the peer may try again."""
    return OUT_OF_RESOURCES if isinstance(error, _NOT_THE_PEERS_FAULT) else CANNOT_UNDERSTAND


_RETRIEVE_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (IdentifierMismatch, IDENTIFIER_DOES_NOT_MATCH),
    (UnknownDestination, MOVE_DESTINATION_UNKNOWN),
    (Busy, UNABLE_TO_COUNT_MATCHES),
    (StorageFull, UNABLE_TO_PERFORM_SUBOPERATIONS),  # no room for a job
    (StorageFailed, UNABLE_TO_COUNT_MATCHES),
    (CorruptLog, UNABLE_TO_COUNT_MATCHES),
    (OSError, UNABLE_TO_COUNT_MATCHES),
    (MemoryError, UNABLE_TO_COUNT_MATCHES),
    (DamagedFile, UNABLE_TO_PERFORM_SUBOPERATIONS),
    (PeerFailed, UNABLE_TO_PERFORM_SUBOPERATIONS),
)


def retrieve_status(error: Exception) -> int:
    """The status of a C-MOVE or C-GET that came to no sub-operation: the standard's, where Orthanc says 0xC000 to all."""
    return next((status for kind, status in _RETRIEVE_STATUSES if isinstance(error, kind)), CANNOT_UNDERSTAND)


_COMMITMENT_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (UnknownAction, NO_SUCH_ACTION_TYPE),
    (UnknownEvent, NO_SUCH_EVENT_TYPE),
    (UnknownInstance, NO_SUCH_INSTANCE),
    (InvalidRequest, INVALID_ARGUMENT),
    (InvalidDicom, INVALID_ARGUMENT),
    *((kind, RESOURCE_LIMITATION) for kind in _NOT_THE_PEERS_FAULT),
)


def commitment_status(error: Exception) -> int:
    """The status of an N-ACTION or N-EVENT-REPORT that failed (PS3.7 §10.1); Orthanc aborts the association instead."""
    return next((status for kind, status in _COMMITMENT_STATUSES if isinstance(error, kind)), PROCESSING_FAILURE)


def comment_on(error: Exception) -> dict[Element, int | str]:
    """The Error Comment of a response; none for a defect, whose words may hold a patient's data."""
    if not isinstance(error, SinogramError):
        return {}
    return {Element.ERROR_COMMENT: _FILTER_FAILED if isinstance(error, ScriptFailed) else str(error)[:_COMMENT_LENGTH]}
