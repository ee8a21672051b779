"""Which main DICOM tags were kept of what came when: a row for each time that the configuration had others."""

from collections.abc import Iterable
from typing import NamedTuple

import msgpack

from events.attachments import AttachmentEvent
from events.files import FileEvent
from events.identifiers import Level, Seq
from events.jobs import JobEvent
from events.labels import LabelEvent
from events.protection import ProtectionEvent
from events.resources import ResourceEvent
from events.scripts import ScriptEvent
from events.server import (
    ChangesCleared,
    ExportsCleared,
    MainTagsChosen,
    ModalityEvent,
    ResourceExported,
)
from store.batch import Batch
from store.damaged_rows import decodes
from store.dicom.indexed_tags import MAIN_DICOM_TAGS, MainTags
from store.log import Appended
from store.projections.projection import Projection
from store.tables import MAIN_TAGS, U64, key


class Choice(NamedTuple):
    """The main tags of each level, of resources behind `seq`."""

    seq: Seq
    tags: MainTags


_FIRST = Choice(Seq(0), MAIN_DICOM_TAGS)


def _choose(batch: Batch, appended: Appended[MainTagsChosen]) -> None:
    batch.put(MAIN_TAGS, key(appended.seq), msgpack.packb(appended.event.tags))


def read_choices(rows: Iterable[tuple[bytes, bytes]]) -> list[Choice]:
    """Return all choices there ever were, the present one first; the last is what holds without any."""
    return [*reversed([_unpack(row_key, row) for row_key, row in rows]), _FIRST]


@decodes
def _unpack(row_key: bytes, row: bytes) -> Choice:
    tags = msgpack.unpackb(row, strict_map_key=False)
    return Choice(Seq(U64.unpack(row_key)[0]), {Level(level): tuple(tags[level]) for level in tags})


PROJECTION = Projection(
    tables=(MAIN_TAGS,),
    handles={MainTagsChosen: _choose},
    ignores=(
        ResourceEvent,
        LabelEvent,
        ProtectionEvent,
        AttachmentEvent,
        FileEvent,
        ChangesCleared,
        ExportsCleared,
        ResourceExported,
        ModalityEvent,
        JobEvent,
        ScriptEvent,
    ),
)
