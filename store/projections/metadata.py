"""Metadata that clients have set."""

import hashlib
from struct import Struct
from typing import NamedTuple

from events.identifiers import Level
from events.metadata import MetadataRemoved, MetadataSet
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
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection
from store.tables import METADATA, TOUCHES, key, metadata_key, touch_key

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
    _touch(batch, appended)
    batch.put(METADATA, metadata_key(event.resource, event.number), _REVISION.pack(event.revision) + event.value)


def _remove(batch: Batch, appended: Appended[MetadataRemoved]) -> None:
    _touch(batch, appended)
    batch.delete(METADATA, metadata_key(appended.event.resource, appended.event.number))


def _touch(batch: Batch, appended: Appended[MetadataSet] | Appended[MetadataRemoved]) -> None:
    """Add the event to the history of its instance."""
    if appended.event.level == Level.INSTANCE:
        batch.put(TOUCHES, touch_key(appended.event.id, appended.seq), b"")


def _forget(batch: Batch, gone: Gone) -> None:
    for row_key in batch.keys(METADATA, key(gone.ref)):
        batch.delete(METADATA, row_key)


@decodes
def unpack_metadata(row: bytes) -> Kept:
    return Kept(_REVISION.unpack_from(row)[0], row[_REVISION.size :])


PROJECTION = Projection(
    tables=(METADATA,),
    handles={MetadataSet: _set, MetadataRemoved: _remove},
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
)
