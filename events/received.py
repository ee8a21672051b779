"""The facts about a received instance, declared once: its command, its events, its row and its readers share them.

These are bases of dataclasses that add fields of their own; in the log an event's own values stand before those it inherits. They
have no slots, so that several may stand side by side.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any

from events.event import personal
from events.identifiers import ResourceId
from events.stored_file import StoredFile


@dataclass(frozen=True, kw_only=True)
class Originated:
    """Where something came from; fields that do not apply are empty."""

    __slots__ = ()

    origin: str  # RestApi, DicomProtocol, Lua, Plugins, WebDav or Unknown
    remote_ip: str = personal()
    remote_aet: str = personal()
    called_aet: str = personal()
    username: str = personal()


@dataclass(frozen=True, kw_only=True)
class ReceivedInstance(StoredFile, Originated):
    """An instance, its file, and where that came from."""

    __slots__ = ()

    transfer_syntax: str
    sop_class: str
    pixel_data_offset: int | None  # of the Pixel Data element, from the start of the file
    pixel_data_vr: str  # of Pixel Data where it is not the one to expect, as Orthanc notes it; else ""
    index_in_series: int | None
    id: ResourceId = personal()
    tags: Mapping[int, str] = personal()  # main DICOM tags of the instance


def facts(kind: type[Originated | StoredFile], value: Originated | StoredFile) -> dict[str, Any]:
    """Return the fields that a value inherits from `kind`, by name: to build another value of that base."""
    names, get = _getter(kind)  # type: ignore[arg-type]  # a class is hashable; mypy looks at its instances
    return dict(zip(names, get(value), strict=True))


@cache
def _getter(kind: type[Originated | StoredFile]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names)
