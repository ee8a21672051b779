"""What every event type is: a frozen value under a literal tag, with a public and a personal part.

A field marked `personal()` identifies a person or lets one be guessed (identifiers, DICOM tags, addresses, user names,
hashes over them). It is stored apart, in the log's `personal` table, where lawful erasure can delete it. The order of
the fields, an event's own before those it inherits, is the order of the stored values, so a field is never added, moved or retyped: a changed event gets a new
tag and an upcast (`events.envelope`).

Fields with a default come last in either part. They are stored only where one of them has another value, so what few events have to
say costs nothing in all others.
"""

from dataclasses import MISSING, field, fields
from functools import cache
from inspect import get_annotations
from typing import Any, ClassVar

_PERSONAL = "personal"
_SECRET_KEYS = "secret keys"  # noqa: S105  # likewise
_SECRET = "secret"  # noqa: S105  # the name of a mark


class Event:
    """Base of all events. Subclasses are `@dataclass(frozen=True, slots=True, kw_only=True)`."""

    __slots__ = ()
    TAG: ClassVar[str]


def personal(*, default: Any = MISSING, secret_keys: tuple[str, ...] = ()) -> Any:
    """Declare a field that belongs to the personal part; of a mapping, `secret_keys` are shown to nobody."""
    return field(default=default, metadata={_PERSONAL: True, _SECRET_KEYS: secret_keys})


def secret() -> Any:
    """Declare a field of the personal part that opens doors, such as a password: it is kept, and shown to nobody."""
    return field(repr=False, metadata={_PERSONAL: True, _SECRET: True})


def secret_names(event_type: type[Event]) -> frozenset[str]:
    """Return the names of the fields that are shown to nobody."""
    return _secret_names(event_type)  # type: ignore[arg-type]  # a class is hashable; mypy looks at its instances


@cache
def _secret_names(event_type: type[Event]) -> frozenset[str]:
    return frozenset(f.name for f in fields(event_type) if f.metadata.get(_SECRET))  # type: ignore[arg-type]  # every event type is a dataclass; the base is not


def secret_keys(event_type: type[Event]) -> dict[str, tuple[str, ...]]:
    """Return by the names of fields which of their keys are shown to nobody."""
    return {f.name: f.metadata[_SECRET_KEYS] for f in fields(event_type) if f.metadata.get(_SECRET_KEYS)}  # type: ignore[arg-type]  # every event type is a dataclass; the base is not


def field_names(event_type: type[Event]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the public and of the personal fields, in stored order."""
    return _field_names(event_type)  # type: ignore[arg-type]  # a class is hashable; mypy looks at its instances


def defaults(event_type: type[Event]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the defaults of the public and of the personal fields that may be absent: those of the last names."""
    by_name = {f.name: f.default for f in fields(event_type) if f.default is not MISSING}  # type: ignore[arg-type]  # every event type is a dataclass; the base is not
    public, personal = field_names(event_type)
    return _of(by_name, public), _of(by_name, personal)


def _of(by_name: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(by_name[name] for name in names if name in by_name)


@cache
def _field_names(event_type: type[Event]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = {f.name: f for f in fields(event_type)}  # type: ignore[arg-type]  # every event type is a dataclass; the base is not
    declared = [found[name] for base in event_type.__mro__ for name in get_annotations(base) if name in found]
    declared.sort(key=lambda f: f.default is not MISSING)
    public = tuple(f.name for f in declared if not f.metadata.get(_PERSONAL))
    return public, tuple(f.name for f in declared if f.metadata.get(_PERSONAL))
