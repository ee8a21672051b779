"""The worklist entries that clients have made."""

from events.identifiers import Level
from store.projections.worklists import Worklist, unpack_worklist
from store.records import Resource
from store.tables import WORKLISTS, LookupKind
from store.views.lookup import find_refs
from store.views.snapshot import Snapshot


def get_worklist(snapshot: Snapshot, identifier: str) -> Worklist | None:
    """Return an entry, None if there is no such."""
    try:
        row = snapshot.row(WORKLISTS, identifier.encode())
    except ValueError:  # it cannot be a key
        return None
    return None if row is None else unpack_worklist(identifier, row)


def list_worklists(snapshot: Snapshot) -> list[Worklist]:
    """Return all entries, the oldest first."""
    with snapshot.txn.cursor(db=snapshot.tables[WORKLISTS]) as cursor:
        found = [unpack_worklist(row_key.decode(), row) for row_key, row in cursor.iternext()]
    return sorted(found, key=lambda entry: entry.seq)


def has_stable_study(snapshot: Snapshot, study_instance_uid: str) -> bool:
    """Tell whether a study of this UID is there and stable."""
    refs = find_refs(snapshot, LookupKind.STUDY_INSTANCE_UID, study_instance_uid)
    records = (snapshot.get_ref(Level.STUDY, ref) for ref in refs)
    return any(isinstance(record, Resource) and record.is_stable for record in records)
