"""Whether a patient is protected against recycling."""

from events.identifiers import Ref
from store.tables import PROTECTED, key
from store.views.snapshot import Snapshot


def is_protected(snapshot: Snapshot, patient: Ref) -> bool:
    return snapshot.row(PROTECTED, key(patient)) is not None
