"""What is known apart from resources: stored modalities, and the rows of `/exports`.

Rows of `/exports` outlive the resources that they name, as in Orthanc.
"""

from dataclasses import fields
from typing import Any

import msgpack

from events.identifiers import Level, ResourceId, Seq
from events.server import ExportsCleared, ModalityRemoved, ModalityStored, ResourceExported
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.records import Export
from store.tables import EXPORTS, MODALITIES, key, modality_key


def apply(batch: Batch, appended: Appended) -> None:
    event = appended.event
    match event:
        case ModalityStored():
            values = {f.name: getattr(event, f.name) for f in fields(event)}
            batch.put(MODALITIES, modality_key(event.name), msgpack.packb(values))
        case ModalityRemoved():
            batch.delete(MODALITIES, modality_key(event.name))
        case ResourceExported():
            batch.put(EXPORTS, key(appended.seq), _pack_export(event, appended.at_us))
        case ExportsCleared():
            batch.clear(EXPORTS)
        case _:
            pass


@decodes
def unpack_modality(row: bytes) -> dict[str, Any]:
    values: dict[str, Any] = msgpack.unpackb(row)
    return values


def _pack_export(event: ResourceExported, at_us: int) -> bytes:
    identifiers = (event.patient_id, event.study_instance_uid, event.series_instance_uid, event.sop_instance_uid)
    packed: bytes = msgpack.packb([event.level, at_us, event.modality, event.id, *identifiers])
    return packed


@decodes
def unpack_export(seq: Seq, row: bytes) -> Export:
    level, at_us, modality, resource, *identifiers = msgpack.unpackb(row)
    return Export(seq, Level(level), at_us, modality, ResourceId(resource), *identifiers)
