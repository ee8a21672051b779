"""Which blob belongs to which instance: what a sweep of a folder must keep. Projected from jobs and healed files, too."""

from events.identifiers import Level
from events.metadata import MetadataEvent
from events.resources import (
    CreationEvent,
    InstanceReceivedAgain,
    InstanceStored,
    RemovalEvent,
    SeriesCompleted,
    StabilityEvent,
)
from store.batch import Batch
from store.log import Appended
from store.projections import rows
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection
from store.tables import BLOBS, CONDEMNED, key


def _note_owner(batch: Batch, appended: Appended[InstanceStored]) -> None:
    batch.put(BLOBS, appended.event.blob, key(appended.seq))


def _condemn(batch: Batch, gone: Gone) -> None:
    if gone.level == Level.INSTANCE:
        blob = gone.row[rows.INSTANCE_BLOB]
        batch.delete(BLOBS, blob)
        batch.put(CONDEMNED, blob, key(gone.seq))


PROJECTION = Projection(
    tables=(BLOBS,),
    handles={InstanceStored: _note_owner},
    ignores=(
        InstanceReceivedAgain,
        CreationEvent,
        SeriesCompleted,
        StabilityEvent,
        RemovalEvent,
        MetadataEvent,
        *BESIDE_RESOURCES,
    ),
    forget=_condemn,
)
