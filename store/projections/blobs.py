"""Which blob belongs to which instance: what a sweep of a folder must keep."""

from events.resources import InstanceStored
from store.batch import Batch
from store.log import Appended
from store.tables import BLOBS, key


def apply(batch: Batch, appended: Appended) -> None:
    match appended.event:
        case InstanceStored() as event:
            batch.put(BLOBS, event.blob, key(appended.seq))
        case _:
            pass  # a blob leaves with its instance: store.projections.purge
