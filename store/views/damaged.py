"""The instances whose files are known to be damaged."""

from dataclasses import dataclass
from itertools import islice

from events.identifiers import Level, Ref
from store.projections.files import DamagedRow, unpack_damaged
from store.records import Instance
from store.tables import DAMAGED_FILES, U64, key
from store.views.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class DamagedInstance:
    """An instance, and what is wrong with its file."""

    instance: Instance
    damage: DamagedRow


def count_damaged(snapshot: Snapshot) -> int:
    """Return how many files are known to be damaged."""
    count: int = snapshot.txn.stat(snapshot.tables[DAMAGED_FILES])["entries"]
    return count


def list_damaged(snapshot: Snapshot, since: int, limit: int) -> list[DamagedInstance]:
    """Return instances with damaged files in the order in which they were stored: `limit` of them after the ref `since`."""
    found = []
    for row_key in islice(snapshot.keys(DAMAGED_FILES, b"", key(since + 1)), limit):
        record = snapshot.get_ref(Level.INSTANCE, Ref(U64.unpack(row_key)[0]))
        row = snapshot.row(DAMAGED_FILES, row_key)
        if isinstance(record, Instance) and row is not None:
            found.append(DamagedInstance(record, unpack_damaged(row)))
    return found
