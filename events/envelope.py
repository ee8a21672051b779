"""The bytes of an event: envelope/1, the personal part and the hash chain. Frozen: old logs must stay readable.

A row of the `events` table is msgpack of

    [tag, at_us, aggregate, actor, correlation, public, personal_digest, previous_hash]

`public` is the list of the event's public values. The personal values lie in the `personal` table under the same
sequence as msgpack of `[salt, payload]`, where `payload` is the msgpack list of the values; the row holds only the
digest SHA-256(salt + payload), or nil where the event has no personal part. `previous_hash` is SHA-256 of the whole
previous row (32 zero bytes for the first), so each row vouches for all before it, and deleting a personal row leaves
the chain intact.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from types import MappingProxyType, NoneType
from typing import Any

import msgpack

from events import (
    attachments,
    commitments,
    derivation,
    dicomweb_servers,
    files,
    jobs,
    labels,
    metadata,
    peers,
    protection,
    reconstruction,
    resources,
    scripts,
    server,
    worklists,
)
from events.errors import CorruptLog
from events.event import Event, defaults, field_names
from events.identifiers import Seq, Surrogate

GENESIS = bytes(32)  # previous_hash of the first event
SALT_BYTES = 16

# The types of a row's values; a damaged row has others.
_ENVELOPE = (str, int, bytes, str, bytes, list, bytes | NoneType, bytes)
_MALFORMED = (ValueError, TypeError, msgpack.UnpackException)

_Getter = Callable[[Event], Sequence[Any]]
_pack = partial(msgpack.packb, use_bin_type=True)
_unpack = partial(msgpack.unpackb, strict_map_key=False)

_FAMILIES = (
    resources,
    reconstruction,
    derivation,
    labels,
    metadata,
    attachments,
    protection,
    files,
    server,
    peers,
    dicomweb_servers,
    commitments,
    worklists,
    jobs,
    scripts,
)
EVENT_TYPES: MappingProxyType[str, type[Event]] = MappingProxyType(
    {
        member.TAG: member
        for family in _FAMILIES
        for member in vars(family).values()
        if isinstance(member, type) and issubclass(member, Event) and "TAG" in vars(member)
    }
)


@dataclass(frozen=True, slots=True)
class Upcast:
    """How the values of an old tag become those of the tag that replaces it. Pure."""

    to_tag: str
    convert: Callable[[list[Any], list[Any] | None], tuple[list[Any], list[Any] | None]]


def _name_nothing_purged(public: list[Any], _personal: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
    """Before, a step of a purge did not say what it removed."""
    return public, [[]]


def _as_it_was(public: list[Any], personal: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
    """What was added since has a default."""
    return public, personal


def _file_behind_facts(public: list[Any], personal: list[Any] | None) -> tuple[list[Any], list[Any] | None]:
    """Before, a file was never compressed, and its name and size stood before what it holds."""
    *own, blob, size_bytes, syntax, sop_class, offset, vr, index, origin = public
    return [*own, syntax, sop_class, offset, vr, index, blob, size_bytes, origin], personal


# Old tag -> upcast. Chains are followed: /1 -> /2 -> /3.
UPCASTS: MappingProxyType[str, Upcast] = MappingProxyType(
    {
        "rows-purged/1": Upcast("rows-purged/2", _name_nothing_purged),
        "instance-stored/1": Upcast("instance-stored/2", _file_behind_facts),
        "resource-deleted/1": Upcast("resource-deleted/2", _as_it_was),
        "file-healed/1": Upcast("file-healed/2", _file_behind_facts),
    }
)


def tags_of(*event_types: type[Event]) -> tuple[str, ...]:
    """Return the tags under which events of these types stand in logs, old ones, too."""
    tags = [event_type.TAG for event_type in event_types]
    for tag in tags:  # grows on the way
        tags += [old for old, step in UPCASTS.items() if step.to_tag == tag]
    return tuple(tags)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the log as it is stored; the event inside may be of an older type."""

    seq: Seq
    tag: str
    at_us: int  # UTC since 1970; never decreases along the log
    aggregate: bytes  # surrogate of the patient or job; b"" for the server itself
    actor: str  # which part of the server decided it
    correlation: bytes  # the request it came from; 8 bytes, or b""
    public: list[Any]
    personal_digest: bytes | None
    previous_hash: bytes


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event ready to be appended."""

    row: bytes
    personal_row: bytes | None
    hash: bytes  # of `row`: the next row's previous_hash


def encode(
    event: Event,
    *,
    at_us: int,
    aggregate: Surrogate | bytes,
    actor: str,
    correlation: bytes,
    previous_hash: bytes,
    salt: Callable[[int], bytes] = os.urandom,
) -> Encoded:
    """Return the bytes of an event; the only place where they are made."""
    get_public, get_personal = _getters(type(event))  # type: ignore[arg-type]  # a class is hashable; mypy looks at its instances
    personal_row = digest = None
    if get_personal is not None:
        pepper = salt(SALT_BYTES)
        payload = _pack(get_personal(event))
        personal_row = _pack([pepper, payload])
        digest = hashlib.sha256(pepper + payload).digest()
    row = _pack([event.TAG, at_us, aggregate, actor, correlation, get_public(event), digest, previous_hash])
    return Encoded(row, personal_row, hash_row(row))


@cache
def _getters(event_type: type[Event]) -> tuple[_Getter, _Getter | None]:
    """Return what reads the public and the personal values of an event, None where it has no personal part."""
    public, personal = map(_getter, field_names(event_type), defaults(event_type))
    return public, personal if field_names(event_type)[1] else None


def _getter(names: tuple[str, ...], absent: tuple[Any, ...]) -> _Getter:
    """Return what reads some values of an event; the last of them are left out where all are what `absent` says."""
    if len(names) < 2:
        return lambda event: [getattr(event, name) for name in names]
    get = attrgetter(*names)  # half the time of a loop: 1 µs of an instance's 60
    if not absent:
        return get
    needed = len(names) - len(absent)

    def get_present(event: Event) -> Sequence[Any]:
        values = get(event)
        return values[:needed] if values[needed:] == absent else values

    return get_present


def hash_row(row: bytes) -> bytes:
    """Return the link that the next row must hold."""
    return hashlib.sha256(row).digest()


def decode_record(seq: Seq, row: bytes) -> Record:
    """Return the envelope of a stored row. Raises CorruptLog where it is none."""
    try:
        values = _unpack(row)
        for value, kind in zip(values, _ENVELOPE, strict=True):
            if not isinstance(value, kind):
                raise TypeError(kind)
        return Record(seq, *values)
    except _MALFORMED as exc:
        raise CorruptLog(f"event {seq} is not an envelope") from exc


def decode_personal(record: Record, personal_row: bytes | None) -> list[Any] | None:
    """Return the personal values of a record, None where it has none or they were erased.

    Raises CorruptLog where they do not match the digest in the log.
    """
    if personal_row is None or record.personal_digest is None:
        return None
    try:
        salt, payload = _unpack(personal_row)
        if hashlib.sha256(salt + payload).digest() != record.personal_digest:
            raise ValueError(record.seq)
        values: list[Any] = _unpack(payload)
    except _MALFORMED as exc:
        raise CorruptLog(f"the personal part of event {record.seq} does not match the log") from exc
    return values


def is_erased(record: Record, personal_row: bytes | None) -> bool:
    """Tell whether the personal part of a record was erased."""
    return record.personal_digest is not None and personal_row is None


def upcast(
    tag: str, public: list[Any], personal: list[Any] | None, upcasts: Mapping[str, Upcast] | None = None
) -> tuple[str, list[Any], list[Any] | None]:
    """Return tag and values in today's form; `upcasts` other than the table's are for tests."""
    table = UPCASTS if upcasts is None else upcasts
    while (step := table.get(tag)) is not None:
        public, personal = step.convert(public, personal)
        tag = step.to_tag
    return tag, public, personal


def decode_event(record: Record, personal_row: bytes | None) -> Event | None:
    """Return the event of a record, None where its personal part was erased.

    Raises CorruptLog for a tag this version does not know, or values that do not fit it.
    """
    personal = decode_personal(record, personal_row)
    if personal is None and record.personal_digest is not None:
        return None
    tag, public, personal = upcast(record.tag, record.public, personal)
    event_type = EVENT_TYPES.get(tag)
    if event_type is None:
        raise CorruptLog(f"event {record.seq} has the unknown type {tag}")
    try:
        values = {
            name: value
            for names, absent, part in zip(
                field_names(event_type), defaults(event_type), (public, personal or ()), strict=True
            )
            for name, value in zip(_present(names, absent, part), part, strict=True)
        }
    except ValueError as exc:
        raise CorruptLog(f"event {record.seq} does not have the values of {tag}") from exc
    return event_type(**values)


def _present(names: tuple[str, ...], absent: tuple[Any, ...], part: Sequence[Any]) -> tuple[str, ...]:
    needed = len(names) - len(absent)
    return names[:needed] if len(part) == needed else names
