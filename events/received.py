"""The facts about a received instance, declared once: its command, its events, its row and its readers share them.

These are bases of dataclasses that add fields of their own; in the log an event's own values stand before those it inherits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any

from events.event import personal
from events.identifiers import BlobId, ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class Originated:
    """Where something came from; fields that do not apply are empty."""

    origin: str  # RestApi, DicomProtocol, Lua, Plugins, WebDav or Unknown
    remote_ip: str = personal()
    remote_aet: str = personal()
    called_aet: str = personal()
    username: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance(Originated):
    """An instance, its file, and where that came from."""

    blob: BlobId
    size_bytes: int  # of the file; > 0
    transfer_syntax: str
    sop_class: str
    pixel_data_offset: int | None  # of the Pixel Data element, from the start of the file
    pixel_data_vr: str  # of Pixel Data where it is not the one to expect, as Orthanc notes it; else ""
    index_in_series: int | None
    id: ResourceId = personal()
    tags: Mapping[int, str] = personal()  # main DICOM tags of the instance
    md5: bytes = personal()  # of the file, 16 bytes; b"" where hashing is off


def facts(kind: type[Originated], value: Originated) -> dict[str, Any]:
    """Return the fields that a value inherits from `kind`, by name: to build another value of that base."""
    names, get = _getter(kind)  # type: ignore[arg-type]  # a class is hashable; mypy looks at its instances
    return dict(zip(names, get(value), strict=True))


@cache
def _getter(kind: type[Originated]) -> tuple[tuple[str, ...], Callable[[Originated], tuple[Any, ...]]]:
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names)
