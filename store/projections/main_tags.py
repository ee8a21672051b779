"""Which main DICOM tags were kept of what came when: a row for each time that the configuration had others.

Of a resource those hold that were configured when it came. Where a file told its tags later, a row says when; none is needed as long
as the tags have always been the same.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgpack

from events.files import FileDamaged, FileEvent, FileHealed, FileRecovered
from events.identifiers import Level, Ref, Seq
from events.metadata import MetadataEvent
from events.reconstruction import InstanceReconstructed, TagsReconstructed
from events.resources import (
    CreationEvent,
    InstanceReceivedAgain,
    InstanceStored,
    RemovalEvent,
    ResourceEvent,
    SeriesCompleted,
    StabilityEvent,
)
from events.server import (
    MainTagsChosen,
)
from store.batch import Batch
from store.damaged_rows import decodes
from store.dicom.indexed_tags import MAIN_DICOM_TAGS, MainTags
from store.log import Appended
from store.projections.projection import BESIDE_SERVER, OF_SERVER, Gone, Projection, without
from store.tables import MAIN_TAGS, TOLD_ANEW, U64, key


class Choice(NamedTuple):
    """The main tags of each level, of resources behind `seq`."""

    seq: Seq
    tags: MainTags


_FIRST = Choice(Seq(0), MAIN_DICOM_TAGS)


def _choose(batch: Batch, appended: Appended[MainTagsChosen]) -> None:
    batch.put(MAIN_TAGS, key(appended.seq), msgpack.packb(appended.event.tags))


def _tell_anew(batch: Batch, appended: Appended[InstanceReconstructed | FileHealed]) -> None:
    _note(batch, appended.event.instance, appended.seq)


def _tell_anew_above(batch: Batch, appended: Appended[TagsReconstructed]) -> None:
    _note(batch, appended.event.resource, appended.seq)


def _note(batch: Batch, ref: Ref, seq: Seq) -> None:
    if next(batch.keys(MAIN_TAGS, b""), None) is not None:
        batch.put(TOLD_ANEW, key(ref), key(seq))


def _forget(batch: Batch, gone: Gone) -> None:
    if batch.get(TOLD_ANEW, key(gone.ref)) is not None:
        batch.delete(TOLD_ANEW, key(gone.ref))


def told_at(get: Callable[[bytes, bytes], bytes | None], ref: Ref) -> Seq:
    """Return the sequence of the event that told the main tags of a resource; `get` reads a row of a table."""
    row = get(TOLD_ANEW, key(ref))
    return Seq(ref) if row is None else Seq(U64.unpack(row)[0])


def read_choices(rows: Iterable[tuple[bytes, bytes]]) -> list[Choice]:
    """Return all choices there ever were, the present one first; the last is what holds without any."""
    return [*reversed([_unpack(row_key, row) for row_key, row in rows]), _FIRST]


@decodes
def _unpack(row_key: bytes, row: bytes) -> Choice:
    tags = msgpack.unpackb(row, strict_map_key=False)
    return Choice(Seq(U64.unpack(row_key)[0]), {Level(level): tuple(tags[level]) for level in tags})


PROJECTION = Projection(
    tables=(MAIN_TAGS, TOLD_ANEW),
    handles={
        MainTagsChosen: _choose,
        InstanceReconstructed: _tell_anew,
        TagsReconstructed: _tell_anew_above,
        FileHealed: _tell_anew,
    },
    ignores=(
        InstanceStored,
        InstanceReceivedAgain,
        CreationEvent,
        SeriesCompleted,
        StabilityEvent,
        RemovalEvent,
        MetadataEvent,
        FileDamaged,
        FileRecovered,
        *without(OF_SERVER, MainTagsChosen),
        *without(BESIDE_SERVER, ResourceEvent, FileEvent),
    ),
    forget=_forget,
)
