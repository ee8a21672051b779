"""A remote modality: one value for both directions, what it may ask of this server and how this server reaches it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

MANUFACTURERS: Final = ("Generic", "GenericNoWildcardInDates", "GenericNoUniversalWildcard", "Vitrea", "GE")
OBSOLETE_MANUFACTURERS: Final = {
    "MedInria": "Generic",
    "EFilm2": "Generic",
    "ClearCanvas": "Generic",
    "Dcm4Chee": "Generic",
    "SyngoVia": "GenericNoWildcardInDates",
    "AgfaImpax": "GenericNoWildcardInDates",
}
SYSTEM_DEFAULT: Final = "SystemDefault"  # DicomDefaultRetrieveMethod decides
RETRIEVE_METHODS: Final = (SYSTEM_DEFAULT, "C-MOVE", "C-GET")


class Operation(Enum):
    """What a remote modality may ask for. The value is the word in `DicomModalities` (`AllowEcho` …)."""

    ECHO = "Echo"
    FIND = "Find"
    FIND_WORKLIST = "FindWorklist"
    GET = "Get"
    MOVE = "Move"
    STORE = "Store"
    N_ACTION = "NAction"  # storage commitment: the request …
    N_EVENT_REPORT = "EventReport"  # … and its result


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """One entry of `DicomModalities`, or of `/modalities`."""

    name: str  # symbolic: the key of the entry
    aet: str
    host: str
    port: int
    manufacturer: str = "Generic"
    allowed: frozenset[Operation] = frozenset(Operation)  # Allow…
    allow_transcoding: bool = True
    use_tls: bool = False
    local_aet: str = ""  # empty: `DicomAet`
    timeout_s: int = 0  # 0: `DicomScuTimeout`
    retrieve_method: str = SYSTEM_DEFAULT


def to_plain(modality: Modality) -> dict[str, Any]:
    """Return a modality as plain values, for messages, settings and plans of jobs."""
    values = {name: getattr(modality, name) for name in Modality.__dataclass_fields__}
    return values | {"allowed": sorted(operation.value for operation in modality.allowed)}


def from_plain(values: Mapping[str, Any]) -> Modality:
    """Return the modality behind plain values. Raises TypeError, ValueError for what is none."""
    allowed = frozenset(Operation(word) for word in values["allowed"])
    return Modality(**{**values, "allowed": allowed})
