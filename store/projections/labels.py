"""The labels of resources, and the resources of labels."""

from events.labels import LabelAdded, LabelEvent, LabelRemoved
from store.batch import Batch
from store.log import Appended
from store.projections.projection import FAMILIES, Gone, Projection, without
from store.tables import LABELLED, LABELS, U64, key, label_key, labelled_key


def _add(batch: Batch, appended: Appended[LabelAdded]) -> None:
    event = appended.event
    batch.put(LABELS, label_key(event.resource, event.label), b"")
    batch.put(LABELLED, labelled_key(event.label, event.resource), bytes((event.level,)))


def _remove(batch: Batch, appended: Appended[LabelRemoved]) -> None:
    batch.delete(LABELS, label_key(appended.event.resource, appended.event.label))
    batch.delete(LABELLED, labelled_key(appended.event.label, appended.event.resource))


def _forget(batch: Batch, gone: Gone) -> None:
    for row_key in batch.keys(LABELS, key(gone.ref)):
        batch.delete(LABELLED, labelled_key(row_key[U64.size :].decode(), gone.ref))
        batch.delete(LABELS, row_key)


PROJECTION = Projection(
    tables=(LABELS, LABELLED),
    handles={LabelAdded: _add, LabelRemoved: _remove},
    ignores=without(FAMILIES, LabelEvent),
    forget=_forget,
)
