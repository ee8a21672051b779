"""Resources of a level in the order of their identifiers, in which Orthanc lists them: any page of it, and all of it.

Identifiers of all levels lie in one table, in order. A page is found by the counts of `store.projections.id_counts`, which
also tell which parts of the table hold nothing of a level. Where a deletion is being purged, what it hides is counted and not
shown: a page may then begin some places early.
"""

from collections.abc import Iterator
from typing import NamedTuple

from events.identifiers import Level, ResourceId
from store.projections.id_counts import COUNTS
from store.tables import ID_COUNTS, IDS
from store.views.snapshot import Snapshot
from store.views.views import Views

PIECE_IDS = 5_000  # read in 10 ms


class _Part(NamedTuple):
    """The identifiers that share their first 12 bits; some of them, unless it is skipped whole, are of the level."""

    start: bytes
    stop: bytes  # b"": the end of the table
    held: int


def list_pieces(views: Views, level: Level, since: int = 0, limit: int = 0) -> Iterator[list[ResourceId]]:
    """Iterate over up to `limit` identifiers (0: all) behind the first `since`, in pieces with a snapshot each.

    Only the last piece has fewer than `PIECE_IDS`. Resources that come or go meanwhile may be in it or not.
    """
    with views.snapshot() as s:
        piece = list_page(s, level, since, _size(limit, 0))
    given = 0
    while piece:
        yield piece
        given += len(piece)
        if len(piece) < PIECE_IDS or given == limit:
            return
        with views.snapshot() as s:
            piece = list_after(s, level, piece[-1], _size(limit, given))


def _size(limit: int, given: int) -> int:
    return min(limit - given, PIECE_IDS) if limit else PIECE_IDS


def list_page(s: Snapshot, level: Level, since: int, limit: int) -> list[ResourceId]:
    """Return up to `limit` identifiers, behind the first `since`."""
    found: list[ResourceId] = []
    for part in _parts(s, level, since):
        if part.held <= since:
            since -= part.held
            continue
        for resource_id in _identifiers(s, level, part.start, part.stop):
            if since:
                since -= 1
            elif s.find(resource_id) is not None:  # else its deletion is being purged
                found.append(resource_id)
                if len(found) == limit:
                    return found
    return found


def list_after(s: Snapshot, level: Level, after: ResourceId | None, limit: int) -> list[ResourceId]:
    """Return up to `limit` identifiers behind one, which need not be there any more; from the first for None."""
    found: list[ResourceId] = []
    start = b"" if after is None else after + b"\0"
    for part in _parts(s, level, 0, start):
        for resource_id in _identifiers(s, level, max(part.start, start), part.stop):
            if s.find(resource_id) is not None:
                found.append(resource_id)
                if len(found) == limit:
                    return found
    return found


def list_places_after(s: Snapshot, level: Level, after: ResourceId | None) -> Iterator[tuple[ResourceId, bytes]]:
    """Iterate over the identifiers behind one, from the first for None, each with its ref as 8 bytes; hidden ones, too."""
    start = b"" if after is None else after + b"\0"
    for part in _parts(s, level, 0, start):
        with s.txn.cursor(db=s.tables[IDS]) as cursor:
            if not cursor.set_range(max(part.start, start)):
                continue
            for resource_id, place in cursor:
                if part.stop and resource_id >= part.stop:
                    break
                if place[0] == level:
                    yield ResourceId(resource_id), place[1:]


def _parts(s: Snapshot, level: Level, skip: int, start: bytes = b"") -> Iterator[_Part]:
    """Iterate over the parts that hold something of a level, from `start` on; of the first `skip` many as one part."""
    with s.txn.cursor(db=s.tables[ID_COUNTS]) as cursor:
        found = cursor.set_range(bytes((level,)) + start[:1])
        while found and cursor.key()[0] == level:
            first, counts = cursor.key()[1], COUNTS.unpack(cursor.value())
            total = sum(counts)
            if total <= skip:
                skip -= total
                yield _Part(_beginning(first, 0), _beginning(first, 16), total)
            else:
                skip = 0
                for place, count in enumerate(counts):
                    stop = _beginning(first, place + 1)
                    if count and (not stop or stop > start):
                        yield _Part(_beginning(first, place), stop, count)
            found = cursor.next()


def _beginning(first: int, place: int) -> bytes:
    number = (first << 4) + place
    return b"" if number == 1 << 12 else (number << 4).to_bytes(2, "big")


def _identifiers(s: Snapshot, level: Level, start: bytes, stop: bytes) -> Iterator[ResourceId]:
    with s.txn.cursor(db=s.tables[IDS]) as cursor:
        if not cursor.set_range(start):
            return
        for resource_id, place in cursor:  # 0.2 µs each
            if stop and resource_id >= stop:
                return
            if place[0] == level:
                yield ResourceId(resource_id)
