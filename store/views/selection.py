"""What `/tools/find` selects: the identifiers of resources that match, in their own order as in Orthanc, or in one by values.

They come in pieces, a short snapshot each. Few matches are collected and sorted. Many are met by going through all identifiers in
their order, where the index has named the members, or each row is looked at: then only a set of members grows with their number,
up to `MEMBERS`. An order by values (`store.views.ordered_matches`) keeps the values of all answers, or those of the page that is asked for and some more.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from events.identifiers import Level, Ref, ResourceId
from store.blobs.store import BlobStore
from store.projections import rows
from store.tables import AGGREGATES, U64
from store.views import find_order
from store.views.find_depth import Depths
from store.views.find_match import Candidate, Row, Search
from store.views.find_members import BATCH_ROWS, MEMBERS, Matches, Members, present_id, slices
from store.views.find_plan import Plan
from store.views.find_walk import BATCH_S
from store.views.id_order import PIECE_IDS, list_pieces, list_places_after
from store.views.ordered_matches import by_values
from store.views.query import Order, Query
from store.views.resource_tags import present_tags
from store.views.snapshot import Snapshot
from store.views.views import Views

COLLECTED: Final = 10_000  # matches; more are met in the order of identifiers
SHORT_PAGE: Final = 1_000  # answers that are soon met, where matches are many
LOOKS_AT_CLOCK: Final = 500

Pieces = Iterator[list[ResourceId]]

# Few matches are collected and sorted; others are met in the order of identifiers; by values, of rows or of an index.
Way = Literal["none", "collected", "identifiers", "values", "index of values"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query is answered, as far as that is known before."""

    plan: Plan
    way: Way
    is_decided: bool  # by the keys of the index
    keys: Mapping[str, Sequence[int]]  # tags by where they are compared


class Selector:
    """Selects resources; thread-safe."""

    def __init__(self, views: Views, blobs: BlobStore) -> None:
        self._views = views
        self._blobs = blobs
        self._depths = Depths()

    def select(self, query: Query, order: Sequence[Order] = (), since: int = 0) -> Pieces:
        """Iterate over the identifiers of up to `query.limit` answers (0: all) behind the first `since`, in pieces."""
        search = Search(query)
        if search.is_bare and not order and not (since and self._hides_something()):
            return list_pieces(self._views, query.level, since, query.limit)
        matches = Matches(self._views, self._blobs, search)
        if matches.is_impossible:
            return iter(())
        if order:
            return _page(by_values(matches, order, since, self._depths), 0, query.limit)
        return _page(_by_id(matches, since + query.limit if query.limit else 0), since, query.limit)

    def _hides_something(self) -> bool:
        """Whether a page would begin early by the counts of identifiers (`store.views.id_order`)."""
        with self._views.snapshot() as s:
            return s.hides_something

    def explain(self, query: Query, order: Sequence[Order] = ()) -> Explanation:
        """Tell how a query is answered, without answering it."""
        search = Search(query)
        matches = Matches(self._views, self._blobs, search)
        with self._views.snapshot() as s:
            parts = search.take_apart(present_tags(s, query.level))
        way: Way = "collected" if matches.plan.is_small or matches.is_decided else "identifiers"
        if matches.is_impossible:
            way = "none"
        elif order:
            is_known = search.is_bare or matches.is_decided
            way = "index of values" if is_known and find_order.index_of(query.level, order) else "values"
        keys = {
            "Index": [tag for tag, _ in parts.own_keys + parts.index_keys],
            "Computed": list(search.computed_keys),
            "Files": [tag for tag, _ in parts.file_keys],
        }
        return Explanation(matches.plan, way, matches.is_decided, keys)

    def count(self, query: Query) -> int:
        """Return how many resources match."""
        search = Search(query)
        if search.is_bare:
            with self._views.snapshot() as s:
                totals = s.statistics()
            return (totals.patients, totals.studies, totals.series, totals.instances)[query.level - 1]
        matches = Matches(self._views, self._blobs, search)
        members = matches.named(MEMBERS) if matches.is_decided_above else matches.members(MEMBERS)
        if members and matches.is_decided_above and not members.doubtful:
            counted = _count_named(matches, members)
            if counted is not None:
                return counted
        members = None if matches.plan.source.spans and not matches.names_level else members
        return sum(len(batch) for batch in matches.batches(lambda _, ref, __: ref, members))


def _count_named(matches: Matches, members: Members) -> int | None:
    """Return how many resources there are at or below members, from their counters; None where some of that is hidden."""
    level = matches.search.query.level
    count = len(members.refs)
    if not matches.names_level:
        count = 0
        for some in slices(members.refs):
            with matches.views.snapshot() as s, s.txn.cursor(db=s.tables[AGGREGATES]) as cursor:
                counters = map(rows.unpack_aggregate, dict(cursor.getmulti(some)).values())
                count += sum((each.studies, each.series, each.instances)[level - 2] for each in counters)
    with matches.views.snapshot() as s:
        return None if s.hides_something else count


def _page(pieces: Pieces, since: int, limit: int) -> Pieces:
    given = 0
    for piece in pieces:
        kept = piece[since:] if since else piece
        since = max(0, since - len(piece))
        if limit and given + len(kept) >= limit:
            yield kept[: limit - given]
            return
        given += len(kept)
        if kept:
            yield kept


# -- in the order of identifiers --------------------------------------------------------------------------------------


def _by_id(matches: Matches, wanted: int) -> Pieces:
    source, is_short = matches.plan.source, 0 < wanted <= SHORT_PAGE
    if not source.spans and (members := matches.members(COLLECTED)) is not None:
        return _sorted(_collect(matches, members, COLLECTED) or [])
    if not source.spans or (is_short and not matches.plan.is_small and not matches.names_level):
        return _scan(matches, None, wanted)
    maximum = MEMBERS if not is_short else COLLECTED if source.sieve is None else SHORT_PAGE
    members = matches.members(maximum)
    if members is None and matches.names_level:
        return _scan(matches, None, wanted)
    if members is not None and len(members.refs) > COLLECTED and not matches.is_decided:
        return _scan(matches, set(members.refs), wanted)
    found = _collect(matches, members, maximum)
    if found is None:
        return _scan(matches, None, wanted)
    return _sorted(found)


def _sorted(found: list[ResourceId]) -> Pieces:
    found.sort()
    return (found[start : start + PIECE_IDS] for start in range(0, len(found), PIECE_IDS))


def _collect(matches: Matches, members: Members | None, maximum: int) -> list[ResourceId] | None:
    """Return the identifiers of all matches, None if there are more than a maximum."""
    if members is not None and matches.is_decided and not members.doubtful:
        return _ids_of(matches, members)
    found: list[ResourceId] = []
    for batch in matches.batches(partial(_id_of, matches.search.query.level), members):
        found += batch
        if len(found) > maximum:
            return None
    return found


def _ids_of(matches: Matches, members: Members) -> list[ResourceId]:
    """Return the identifiers of members that no row has to be looked at for: 1 µs each."""
    level = matches.search.query.level
    found: list[ResourceId] = []
    for some in slices(members.refs, BATCH_ROWS):
        with matches.views.snapshot() as s, s.txn.cursor(db=s.tables[rows.TABLE_OF_LEVEL[level]]) as cursor:
            found += [
                resource
                for raw, row in cursor.getmulti(some)
                if (resource := rows.id_of(row))
                and (not s.hides_something or s.find(resource) == (level, U64.unpack(raw)[0]))
            ]
    return found


def _id_of(level: Level, s: Snapshot, ref: Ref, row: Row | None) -> ResourceId | None:
    return present_id(s, level, ref) if row is None else ResourceId(row[rows.ID])


def _scan(matches: Matches, members: set[bytes] | None, wanted: int) -> Pieces:
    """Look at the rows of members, or of all, in the order of their identifiers."""
    search, size = matches.search, min(wanted or PIECE_IDS, PIECE_IDS)
    after: ResourceId | None = None
    is_done = False
    while not is_done:
        found: list[tuple[ResourceId, Candidate | None]] = []
        with matches.views.snapshot() as s:
            deadline = time.monotonic() + BATCH_S
            search.begin()
            for number, (resource, raw) in enumerate(list_places_after(s, search.query.level, after), 1):
                after, ref = resource, Ref(U64.unpack(raw)[0])
                if (members is None or raw in members) and (row := search.match(s, ref)) is not None:
                    found.append((resource, search.describe(s, ref, row) if search.may_read_files else None))
                if len(found) == size or (not number % LOOKS_AT_CLOCK and time.monotonic() > deadline):
                    break
            else:
                is_done = True
        yield [each for each, file in found if file is None or matches.is_match(file)]
