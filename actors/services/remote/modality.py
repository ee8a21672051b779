"""A remote modality: one value for both directions, what it may ask of this server and how this server reaches it.

The configuration and REST describe one in two forms, compared with Orthanc 1.12.7. Short: `[AET, host, port]` or
`[AET, host, port, manufacturer]`. Long: an object with `AET`, `Host` and `Port`, and what else `FIELDS` names.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
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
LAST_PORT: Final = 65534  # so Orthanc
NAME: Final = re.compile(r"[A-Za-z0-9_-]*\Z")  # of the entry

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}\Z")


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


class Kind(Enum):
    """What a field must be; and what can be wrong with a description as a whole."""

    TEXT = auto()
    FLAG = auto()
    SECONDS = auto()
    PORT = auto()
    MANUFACTURER = auto()
    RETRIEVE_METHOD = auto()
    FORM = auto()  # it is neither list nor object
    MISSING = auto()  # fields that must be there


PERMISSIONS: Final = {f"Allow{operation.value}": operation for operation in Operation}
BOTH_COMMITMENTS: Final = "AllowStorageCommitment"  # comes before the two
FIELDS: Final = {
    "AET": ("aet", Kind.TEXT),
    "Host": ("host", Kind.TEXT),
    "Port": ("port", Kind.PORT),
    "Manufacturer": ("manufacturer", Kind.MANUFACTURER),
    "AllowTranscoding": ("allow_transcoding", Kind.FLAG),
    "UseDicomTls": ("use_tls", Kind.FLAG),
    "LocalAet": ("local_aet", Kind.TEXT),
    "Timeout": ("timeout_s", Kind.SECONDS),
    "RetrieveMethod": ("retrieve_method", Kind.RETRIEVE_METHOD),
}
_NEEDED: Final = ("AET", "Host", "Port")
_COMMITMENTS: Final = ("AllowNAction", "AllowEventReport")

# Makes the error to be raised of a field (or several, or none), what it must be, and what it is.
Complain = Callable[[str, Kind, object], Exception]


def parse_modality(name: str, description: object, complain: Complain) -> Modality:
    """Return the modality that a JSON value describes; fields that are unknown are passed over. Raises what `complain` makes."""
    match description:
        case [_, _, _] | [_, _, _, _]:
            fields: dict[str, object] = dict(zip((*_NEEDED, "Manufacturer"), description, strict=False))
        case dict():
            fields = dict(description)
        case _:
            raise complain("", Kind.FORM, description)
    if missing := [field for field in _NEEDED if field not in fields]:
        raise complain(", ".join(missing), Kind.MISSING, None)
    read = {
        key: _read(field, fields[field], kind, complain) for field, (key, kind) in FIELDS.items() if field in fields
    }
    flags = {field: _read(field, fields.get(field, True), Kind.FLAG, complain) for field in PERMISSIONS}
    if BOTH_COMMITMENTS in fields:
        both = _read(BOTH_COMMITMENTS, fields[BOTH_COMMITMENTS], Kind.FLAG, complain)
        flags |= dict.fromkeys(_COMMITMENTS, both)
    return Modality(name=name, allowed=frozenset(PERMISSIONS[field] for field in flags if flags[field]), **read)


def _read(field: str, value: object, kind: Kind, complain: Complain) -> Any:  # what the field of Modality is
    if kind is Kind.PORT and isinstance(value, str) and _WHOLE.match(value):
        value = int(value)
    if kind is Kind.MANUFACTURER and isinstance(value, str):
        value = OBSOLETE_MANUFACTURERS.get(value, value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case Kind.FLAG:
            is_right = isinstance(value, bool)
        case Kind.SECONDS:
            is_right = is_number and value >= 0  # type: ignore[operator] # a number
        case Kind.PORT:
            is_right = is_number and 1 <= value <= LAST_PORT  # type: ignore[operator] # a number
        case Kind.MANUFACTURER:
            is_right = value in MANUFACTURERS
        case Kind.RETRIEVE_METHOD:
            is_right = value in RETRIEVE_METHODS
        case _:
            is_right = isinstance(value, str)
    if not is_right:
        raise complain(field, kind, value)
    return value
