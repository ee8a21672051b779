"""Metadata that clients have set, and of what a resource was made."""

import hashlib
from struct import Struct
from typing import NamedTuple

from events.derivation import ResourceDerived
from events.identifiers import Ref, format_resource_id
from events.metadata import BUILT_IN, MetadataRemoved, MetadataSet
from events.resources import (
    CreationEvent,
    InstanceReceivedAgain,
    InstanceStored,
    RemovalEvent,
    SeriesCompleted,
    StabilityEvent,
)
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection, Rebuild, are_empty
from store.tables import METADATA, METADATA_BYTES, U64, key, metadata_key

_REVISION = Struct(">Q")  # the value follows


class Kept(NamedTuple):
    """A value with its revision: 0 for the first, then one more with each that takes its place."""

    revision: int
    value: bytes

    def md5(self) -> str:
        """Return what ETags of Orthanc 1.12.7 say of the value."""
        return hashlib.md5(self.value, usedforsecurity=False).hexdigest()


def _set(batch: Batch, appended: Appended[MetadataSet]) -> None:
    event = appended.event
    _add_bytes(batch, event.resource, len(event.value) - len(event.old_value or b""))
    batch.put(METADATA, metadata_key(event.resource, event.number), _REVISION.pack(event.revision) + event.value)


def _remove(batch: Batch, appended: Appended[MetadataRemoved]) -> None:
    event = appended.event
    _add_bytes(batch, event.resource, -len(event.old_value))
    batch.delete(METADATA, metadata_key(event.resource, event.number))


def _derive(batch: Batch, appended: Appended[ResourceDerived]) -> None:
    """Keep where a resource is from as metadata, which clients cannot change: its number is below theirs."""
    event = appended.event
    number = BUILT_IN["AnonymizedFrom" if event.is_anonymization else "ModifiedFrom"]
    source = format_resource_id(event.source).encode()
    _add_bytes(batch, event.resource, len(source))
    batch.put(METADATA, metadata_key(event.resource, number), _REVISION.pack(0) + source)


def _add_bytes(batch: Batch, ref: Ref, size_bytes: int) -> None:
    if size_bytes:
        batch.put(METADATA_BYTES, key(ref), U64.pack(bytes_of(batch, ref) + size_bytes))


def bytes_of(batch: Batch, ref: Ref) -> int:
    """Return how many bytes the values have together that clients have set at a resource."""
    row = batch.get(METADATA_BYTES, key(ref))
    return 0 if row is None else int(U64.unpack(row)[0])


def _forget(batch: Batch, gone: Gone) -> None:
    batch.delete(METADATA_BYTES, key(gone.ref))
    for row_key in batch.keys(METADATA, key(gone.ref)):
        batch.delete(METADATA, row_key)


@decodes
def unpack_metadata(row: bytes) -> Kept:
    return Kept(_REVISION.unpack_from(row)[0], row[_REVISION.size :])


def _count_row(batch: Batch, _: bytes, row_key: bytes, row: bytes) -> None:
    _add_bytes(batch, Ref(U64.unpack_from(row_key)[0]), len(unpack_metadata(row).value))


PROJECTION = Projection(
    tables=(METADATA, METADATA_BYTES),
    handles={MetadataSet: _set, MetadataRemoved: _remove, ResourceDerived: _derive},
    ignores=(
        InstanceStored,
        InstanceReceivedAgain,
        CreationEvent,
        SeriesCompleted,
        StabilityEvent,
        RemovalEvent,
        *BESIDE_RESOURCES,
    ),
    forget=_forget,
    rebuild=Rebuild(
        name="metadata-bytes",
        tables=(METADATA_BYTES,),
        sources=(METADATA,),
        add=_count_row,
        is_missing=are_empty(METADATA_BYTES),
    ),
)
