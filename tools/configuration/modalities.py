"""The section `DicomModalities`, read into one record per modality (`actors.services.remote.modality`)."""

from typing import Any, Final

from actors.services.remote.modality import (
    BOTH_COMMITMENTS,
    FIELDS,
    LAST_PORT,
    MANUFACTURERS,
    NAME,
    OBSOLETE_MANUFACTURERS,
    PERMISSIONS,
    RETRIEVE_METHODS,
    Kind,
    Modality,
    parse_modality,
)
from events.options import Option, Section

MODALITIES: Final = Option("DicomModalities", Section(), {})
OPTIONS: Final = (MODALITIES,)

_KNOWN: Final = {*FIELDS, *PERMISSIONS, BOTH_COMMITMENTS}
_MUST_BE: Final = {
    Kind.TEXT: "a string",
    Kind.FLAG: "true or false",
    Kind.SECONDS: "a whole number of seconds",
    Kind.PORT: f"a TCP port, 1 to {LAST_PORT}",
    Kind.MANUFACTURER: f"one of {', '.join(MANUFACTURERS)}",
    Kind.RETRIEVE_METHOD: f"one of {', '.join(RETRIEVE_METHODS)}",
}


class _Wrong(Exception):
    """The reason alone; it does not leave this file."""


def read_modalities(section: dict[str, Any]) -> tuple[tuple[Modality, ...], list[str], list[str]]:
    """Return the modalities that can be read, what is wrong with the others, and warnings."""
    modalities: list[Modality] = []
    problems: list[str] = []
    warnings: list[str] = []
    for name, entry in section.items():
        if not NAME.match(name):
            problems.append(f"{name!r:.60}: a name may hold letters, digits, dashes and underscores only")
            continue
        try:
            modalities.append(parse_modality(name, entry, _complain))
            warnings += (f"DicomModalities: {name}: {text}" for text in _doubts(entry))
        except _Wrong as exc:
            problems.append(f"{name!r:.60}: {exc}")
    return tuple(modalities), problems, warnings


def _complain(field: str, kind: Kind, value: object) -> _Wrong:
    if kind is Kind.FORM:
        return _Wrong("must be [AET, host, port, manufacturer] or an object")
    if kind is Kind.MISSING:
        return _Wrong(f"lacks {field}")
    is_word = kind in {Kind.MANUFACTURER, Kind.RETRIEVE_METHOD}
    return _Wrong(f"{field} must be {_MUST_BE[Kind.TEXT if is_word and not isinstance(value, str) else kind]}")


def _doubts(entry: Any) -> list[str]:
    """What is odd about an entry that can be read."""
    fields = entry if isinstance(entry, dict) else dict(zip(("Manufacturer",), entry[3:], strict=False))
    doubts = []
    if unknown := sorted(fields.keys() - _KNOWN):
        doubts.append(f"unknown and ignored: {', '.join(unknown)}")
    if replacement := OBSOLETE_MANUFACTURERS.get(fields.get("Manufacturer", "")):
        doubts.append(f"manufacturer {fields['Manufacturer']} is obsolete; write {replacement}")
    return doubts
