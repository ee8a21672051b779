"""The rows of `/exports`."""

from collections.abc import Iterator
from itertools import islice

from events.identifiers import Seq
from store.projections.server import unpack_export
from store.records import Export, ExportsPage
from store.tables import EXPORTS, U64, key
from store.views.find_index import Span, span_keys
from store.views.snapshot import Snapshot
from store.views.views import Views

_MOST_SEQ = (1 << 64) - 2


def get_exports(snapshot: Snapshot, *, since: int, limit: int) -> ExportsPage:
    """Return up to `limit` exports after sequence `since`; `done` if there are no more. A negative limit gives none."""
    if limit < 0:
        return ExportsPage([], True)
    found = list(islice(_after(snapshot, since), limit + 1))
    return ExportsPage(found[:limit], len(found) <= limit)


def has_more_exports(views: Views, since: int, limit: int) -> bool:
    """Tell whether there are more than `limit` exports after a sequence."""
    count = 0
    for keys in span_keys(views, Span(EXPORTS, key(since + 1), b"\xff" * 9)):
        count += len(keys)
        if count > limit:
            return True
    return False


def get_last_export(snapshot: Snapshot) -> ExportsPage:
    """Return the page that holds the newest export alone."""
    with snapshot.txn.cursor(db=snapshot.tables[EXPORTS]) as cursor:
        if not cursor.last():
            return ExportsPage([], True)
        return ExportsPage([_read(cursor.key(), cursor.value())], True)


def _after(snapshot: Snapshot, since: int) -> Iterator[Export]:
    with snapshot.txn.cursor(db=snapshot.tables[EXPORTS]) as cursor:
        found = cursor.set_range(key(min(since, _MOST_SEQ) + 1))
        while found:
            yield _read(cursor.key(), cursor.value())
            found = cursor.next()


def _read(row_key: bytes, row: bytes) -> Export:
    return unpack_export(Seq(U64.unpack(row_key)[0]), row)
