"""The labels of a resource, and those that are in use."""

from collections.abc import Iterator

from events.identifiers import Level, Ref
from store.tables import LABELLED, LABELS, U64, key, label_key
from store.views.snapshot import Snapshot


def has_label(snapshot: Snapshot, ref: Ref, label: str) -> bool:
    """Tell whether a resource has a label; `label` must be one (`events.labels.is_label`)."""
    return snapshot.row(LABELS, label_key(ref, label)) is not None


def labels_of(snapshot: Snapshot, ref: Ref) -> list[str]:
    """Return the labels of a resource in the order of their bytes, as Orthanc shows them."""
    return [row_key[U64.size :].decode() for row_key in snapshot.keys(LABELS, key(ref))]


def list_labels(snapshot: Snapshot) -> Iterator[str]:
    """Iterate over the labels in use, in the order of their bytes; those of resources that are being purged are not."""
    start = b""
    while (row_key := next(snapshot.keys(LABELLED, b"", start), None)) is not None:
        label = row_key[: -U64.size]
        if any(_is_visible(snapshot, each) for each in snapshot.keys(LABELLED, label)):
            yield label[:-1].decode()
        start = label[:-1] + b"\1"


def _is_visible(snapshot: Snapshot, row_key: bytes) -> bool:
    level = Level((snapshot.row(LABELLED, row_key) or b"\4")[0])
    return not snapshot.is_hidden(level, Ref(U64.unpack(row_key[-U64.size :])[0]))
