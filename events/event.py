"""What every event type is: a frozen value under a literal tag, with a public and a personal part.

A field marked `personal()` identifies a person or lets one be guessed (identifiers, DICOM tags, addresses, user names,
hashes over them). It is stored apart, in the log's `personal` table, where lawful erasure can delete it. The order of
the fields, an event's own before those it inherits, is the order of the stored values, so a field is never added, moved or retyped: a changed event gets a new
tag and an upcast (`events.envelope`).
"""

from dataclasses import field, fields
from functools import cache
from inspect import get_annotations
from typing import Any, ClassVar

_PERSONAL = "personal"


class Event:
    """Base of all events. Subclasses are `@dataclass(frozen=True, slots=True, kw_only=True)`."""

    __slots__ = ()
    TAG: ClassVar[str]


def personal() -> Any:
    """Declare a field that belongs to the personal part."""
    return field(metadata={_PERSONAL: True})


def field_names(event_type: type[Event]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the public and of the personal fields, in stored order."""
    return _field_names(event_type)  # type: ignore[arg-type]  # a class is hashable; mypy looks at its instances


@cache
def _field_names(event_type: type[Event]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = {f.name: f for f in fields(event_type)}  # type: ignore[arg-type]  # every event type is a dataclass; the base is not
    declared = [found[name] for base in event_type.__mro__ for name in get_annotations(base) if name in found]
    public = tuple(f.name for f in declared if not f.metadata.get(_PERSONAL))
    return public, tuple(f.name for f in declared if f.metadata.get(_PERSONAL))
