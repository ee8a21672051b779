"""The section `DicomModalities`: its two forms, read into one record per modality.

Short: `[AET, host, port]` or `[AET, host, port, manufacturer]`. Long: an object with `AET`, `Host` and `Port`, and
what else `Modality` holds. Forms, defaults and old names were compared with Orthanc 1.12.7.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
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
RETRIEVE_METHODS: Final = ("SystemDefault", "C-MOVE", "C-GET")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """A remote application entity, and what it may ask of this server."""

    name: str  # the key in `DicomModalities`
    aet: str
    host: str
    port: int
    manufacturer: str = "Generic"
    allow_echo: bool = True
    allow_store: bool = True
    allow_find: bool = True
    allow_find_worklist: bool = True
    allow_get: bool = True
    allow_move: bool = True
    allow_n_action: bool = True  # storage commitment: the request …
    allow_event_report: bool = True  # … and its result
    allow_transcoding: bool = True
    use_tls: bool = False
    local_aet: str = ""  # empty: `DicomAet`
    timeout_s: int = 0  # 0: `DicomScuTimeout`
    retrieve_method: str = "SystemDefault"


class _Wrong(Exception):
    """The reason alone; it does not leave this file."""


def read_modalities(section: dict[str, Any]) -> tuple[tuple[Modality, ...], list[str], list[str]]:
    """Return the modalities that can be read, what is wrong with the others, and warnings."""
    modalities: list[Modality] = []
    problems: list[str] = []
    warnings: list[str] = []
    for name, entry in section.items():
        try:
            modalities.append(_modality(name, entry, warnings))
        except _Wrong as exc:
            problems.append(f"{name!r:.60}: {exc}")
    return tuple(modalities), problems, warnings


def _modality(name: str, entry: object, warnings: list[str]) -> Modality:
    if not _NAME.match(name):
        raise _Wrong("a name may hold letters, digits, dashes and underscores only")
    match entry:
        case [aet, host, port]:
            fields: dict[str, Any] = {"AET": aet, "Host": host, "Port": port}
        case [aet, host, port, manufacturer]:
            fields = {"AET": aet, "Host": host, "Port": port, "Manufacturer": manufacturer}
        case dict():
            fields = dict(entry)
        case _:
            raise _Wrong("must be [AET, host, port, manufacturer] or an object")
    if missing := [field for field in ("AET", "Host", "Port") if field not in fields]:
        raise _Wrong(f"lacks {', '.join(missing)}")
    if "AllowStorageCommitment" in fields:
        both = fields.pop("AllowStorageCommitment")
        fields |= {"AllowNAction": both, "AllowEventReport": both}  # it overrides the two
    if unknown := sorted(fields.keys() - _FIELDS.keys()):
        warnings.append(f"DicomModalities: {name}: unknown and ignored: {', '.join(unknown)}")
    read: dict[str, Any] = {
        _FIELDS[field][0]: _FIELDS[field][1](field, value) for field, value in fields.items() if field in _FIELDS
    }
    if replacement := OBSOLETE_MANUFACTURERS.get(fields.get("Manufacturer", "")):
        warnings.append(
            f"DicomModalities: {name}: manufacturer {fields['Manufacturer']} is obsolete; write {replacement}"
        )
    return Modality(name=name, **read)


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"{field} must be a string")
    return value


def _boolean(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"{field} must be true or false")
    return value


def _port(field: str, value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise _Wrong(f"{field} must be a TCP port, 1 to 65535")
    return value


def _seconds(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _Wrong(f"{field} must be a whole number of seconds")
    return value


def _manufacturer(field: str, value: object) -> str:
    known = OBSOLETE_MANUFACTURERS.get(_text(field, value), str(value))
    if known not in MANUFACTURERS:
        raise _Wrong(f"{field} must be one of {', '.join(MANUFACTURERS)}")
    return known


def _retrieve_method(field: str, value: object) -> str:
    if _text(field, value) not in RETRIEVE_METHODS:
        raise _Wrong(f"{field} must be one of {', '.join(RETRIEVE_METHODS)}")
    return str(value)


_FIELDS: Final[dict[str, tuple[str, Callable[[str, object], object]]]] = {
    "AET": ("aet", _text),
    "Host": ("host", _text),
    "Port": ("port", _port),
    "Manufacturer": ("manufacturer", _manufacturer),
    "AllowEcho": ("allow_echo", _boolean),
    "AllowStore": ("allow_store", _boolean),
    "AllowFind": ("allow_find", _boolean),
    "AllowFindWorklist": ("allow_find_worklist", _boolean),
    "AllowGet": ("allow_get", _boolean),
    "AllowMove": ("allow_move", _boolean),
    "AllowNAction": ("allow_n_action", _boolean),
    "AllowEventReport": ("allow_event_report", _boolean),
    "AllowTranscoding": ("allow_transcoding", _boolean),
    "UseDicomTls": ("use_tls", _boolean),
    "LocalAet": ("local_aet", _text),
    "Timeout": ("timeout_s", _seconds),
    "RetrieveMethod": ("retrieve_method", _retrieve_method),
}
