"""Read models that are not about resources: stored modalities, the rows of `/exports`, how many names of nobody were drawn.

Rows of `/exports` outlive the resources that they name, as in Orthanc.
"""

import msgpack

from events.identifiers import Level, ResourceId, Seq
from events.server import (
    AnonymousNameDrawn,
    ExportsCleared,
    ModalityChanged,
    ModalityDropped,
    ModalityEvent,
    ModalityRemoved,
    ModalityStored,
    ResourceExported,
)
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections.projection import BESIDE_SERVER, OF_SERVER, Projection, without
from store.projections.remotes import pack_remote
from store.records import Export
from store.tables import EXPORTS, MODALITIES, TOTALS, U64, key, remote_key

ANONYMOUS_NAMES = b"anonymous-names"  # in `totals`: the last number


def _store_modality(batch: Batch, appended: Appended[ModalityStored]) -> None:
    batch.put(MODALITIES, remote_key(appended.event.name), pack_remote(appended.event))


def _remove_modality(batch: Batch, appended: Appended[ModalityRemoved]) -> None:
    batch.delete(MODALITIES, remote_key(appended.event.name))


def _export(batch: Batch, appended: Appended[ResourceExported]) -> None:
    event = appended.event
    identifiers = (event.patient_id, event.study_instance_uid, event.series_instance_uid, event.sop_instance_uid)
    row = [event.level, appended.at_us, event.modality, event.id, *identifiers]
    batch.put(EXPORTS, key(appended.seq), msgpack.packb(row))


def _clear_exports(batch: Batch, _: Appended[ExportsCleared]) -> None:
    batch.clear(EXPORTS)


def _draw_name(batch: Batch, appended: Appended[AnonymousNameDrawn]) -> None:
    batch.put(TOTALS, ANONYMOUS_NAMES, U64.pack(appended.event.number))


def count_anonymous_names(row: bytes | None) -> int:
    """Return the last number that was drawn, 0 if none was."""
    return 0 if row is None else int(U64.unpack(row)[0])


@decodes
def unpack_export(seq: Seq, row: bytes) -> Export:
    level, at_us, modality, resource, *identifiers = msgpack.unpackb(row)
    return Export(seq, Level(level), at_us, modality, ResourceId(resource), *identifiers)


PROJECTION = Projection(
    tables=(MODALITIES, EXPORTS),
    handles={
        ModalityStored: _store_modality,
        ModalityRemoved: _remove_modality,
        ResourceExported: _export,
        ExportsCleared: _clear_exports,
        AnonymousNameDrawn: _draw_name,
    },
    ignores=(
        ModalityChanged,  # kept as settings of the run
        ModalityDropped,
        *without(OF_SERVER, ModalityEvent, ExportsCleared, ResourceExported, AnonymousNameDrawn),
        *BESIDE_SERVER,
    ),
)
