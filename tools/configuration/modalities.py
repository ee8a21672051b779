"""The section `DicomModalities`: its two forms, read into one record per modality.

Short: `[AET, host, port]` or `[AET, host, port, manufacturer]`. Long: an object with `AET`, `Host` and `Port`, and
what else `Modality` holds. Forms, defaults and old names were compared with Orthanc 1.12.7.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from actors.services.remote.modality import MANUFACTURERS, OBSOLETE_MANUFACTURERS, RETRIEVE_METHODS, Modality, Operation
from events.options import Option, Section

MODALITIES: Final = Option("DicomModalities", Section(), {})
OPTIONS: Final = (MODALITIES,)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]*\Z")


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
    if unknown := sorted(fields.keys() - _FIELDS.keys() - _PERMISSIONS):
        warnings.append(f"DicomModalities: {name}: unknown and ignored: {', '.join(unknown)}")
    read: dict[str, Any] = {}
    for field, value in fields.items():
        if field in _PERMISSIONS:
            _boolean(field, value)
        elif field in _FIELDS:
            keyword, convert = _FIELDS[field]
            read[keyword] = convert(field, value)
    if replacement := OBSOLETE_MANUFACTURERS.get(fields.get("Manufacturer", "")):
        warnings.append(
            f"DicomModalities: {name}: manufacturer {fields['Manufacturer']} is obsolete; write {replacement}"
        )
    denied = {operation for operation in Operation if not fields.get(f"Allow{operation.value}", True)}
    return Modality(name=name, allowed=frozenset(Operation) - denied, **read)


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


_PERMISSIONS: Final = frozenset(f"Allow{operation.value}" for operation in Operation)
_FIELDS: Final[dict[str, tuple[str, Callable[[str, object], object]]]] = {
    "AET": ("aet", _text),
    "Host": ("host", _text),
    "Port": ("port", _port),
    "Manufacturer": ("manufacturer", _manufacturer),
    "AllowTranscoding": ("allow_transcoding", _boolean),
    "UseDicomTls": ("use_tls", _boolean),
    "LocalAet": ("local_aet", _text),
    "Timeout": ("timeout_s", _seconds),
    "RetrieveMethod": ("retrieve_method", _retrieve_method),
}
