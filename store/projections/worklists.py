"""The read model of worklist entries that clients have made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from events.identifiers import Seq
from events.worklists import WorklistEvent, WorklistRemoved, WorklistStored
from store.batch import Batch
from store.damaged_rows import decodes
from store.dicom.matching import Dataset, Value
from store.log import Appended
from store.projections.projection import BESIDE_SERVER, OF_SERVER, Projection, without
from store.tables import WORKLISTS


@dataclass(frozen=True, slots=True)
class Worklist:
    """An entry."""

    id: str
    seq: Seq  # of the event that made it; entries are told in this order
    created_us: int  # UTC since 1970
    values: Dataset


def _store(batch: Batch, appended: Appended[WorklistStored]) -> None:
    event = appended.event
    row_key = event.id.encode()
    before = batch.get(WORKLISTS, row_key)
    made = [appended.seq, appended.at_us] if before is None else msgpack.unpackb(before, strict_map_key=False)[:2]
    batch.put(WORKLISTS, row_key, msgpack.packb([*made, event.tags]))


def _remove(batch: Batch, appended: Appended[WorklistRemoved]) -> None:
    batch.delete(WORKLISTS, appended.event.id.encode())


@decodes
def unpack_worklist(identifier: str, row: bytes) -> Worklist:
    seq, created_us, tags = msgpack.unpackb(row, strict_map_key=False)
    return Worklist(identifier, Seq(seq), created_us, _dataset(tags))


def _dataset(tags: Mapping[int, Any]) -> Dataset:
    return {tag: _value(value) for tag, value in tags.items()}


def _value(value: Any) -> Value:
    return tuple(map(_dataset, value)) if isinstance(value, list) else value


PROJECTION = Projection(
    tables=(WORKLISTS,),
    handles={WorklistStored: _store, WorklistRemoved: _remove},
    ignores=(*without(OF_SERVER, WorklistEvent), *BESIDE_SERVER),
)
