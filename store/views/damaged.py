"""The files that are known to be damaged, and whose they are."""

from dataclasses import dataclass
from itertools import groupby, islice

from events.identifiers import Level, ResourceId
from store.projections.files import DamagedRow, unpack_damaged
from store.tables import DAMAGED_FILES, U64, key
from store.views.files import OwnedFile, read_owned, resource_of
from store.views.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file of a resource, and what is wrong with it."""

    level: Level
    id: ResourceId
    file: OwnedFile
    damage: DamagedRow


def count_damaged(snapshot: Snapshot) -> int:
    """Return how many files are known to be damaged."""
    count: int = snapshot.txn.stat(snapshot.tables[DAMAGED_FILES])["entries"]
    return count


def list_damaged(snapshot: Snapshot, since: int, limit: int) -> tuple[list[DamagedFile], bool]:
    """Return the damaged files of `limit` resources after the ref `since`, in the order of their creation, and whether these are the last."""
    rows = snapshot.keys(DAMAGED_FILES, b"", key(since + 1))
    groups = groupby(rows, lambda owner: U64.unpack_from(owner)[0])
    found = [_read(snapshot, owner) for _, owners in islice(groups, limit) for owner in owners]
    return [each for each in found if each is not None], next(groups, None) is None


def _read(snapshot: Snapshot, owner: bytes) -> DamagedFile | None:
    file, row = read_owned(snapshot, owner), snapshot.row(DAMAGED_FILES, owner)
    if file is None or row is None:
        return None
    level, resource = resource_of(snapshot, file)
    return DamagedFile(level, resource, file, unpack_damaged(row))
