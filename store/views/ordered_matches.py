"""The matches of a query in an order by values: an index tells them, the counters, or the rows."""

from collections.abc import Iterator, Sequence
from itertools import islice

from events.identifiers import Ref, ResourceId
from store.projections import rows
from store.tables import AGGREGATES, U64
from store.views import find_order
from store.views.find_depth import Depths
from store.views.find_ends import first_keys
from store.views.find_index import LONGEST_WHOLE, Span, span_keys
from store.views.find_members import BATCH_ROWS, MEMBERS, Matches, Members, is_present, present_id, slices
from store.views.find_order import Item, Values
from store.views.find_plan import whole_kind, whole_table
from store.views.id_order import PIECE_IDS
from store.views.query import Order
from store.views.snapshot import Snapshot


def by_values(matches: Matches, order: Sequence[Order], since: int, depths: Depths) -> Iterator[list[ResourceId]]:
    """Iterate over the identifiers of matches behind the first `since`, in pieces: as many as the query wants, or some more."""
    level, limit = matches.search.query.level, matches.search.query.limit
    with matches.views.snapshot() as s:
        # What a deletion is about to remove counts among the first, so while there is some all are sorted.
        wanted = 0 if s.hides_something else since + limit if limit else 0
    if (span := _ordered_span(matches, order)) and wanted:
        refs = _in_depth(matches, span, since, order[0], depths)
        if refs is not None:
            yield from _identify(matches, refs, 0)
            return
        first = _from_end(matches, span, None, Values(level, order), wanted)
        if first is not None:
            yield from _identify(matches, _refs(find_order.sort([first], order, wanted)), since)
            return
    members = matches.members(MEMBERS)
    is_known = matches.search.is_bare or (members is not None and matches.is_decided and not members.doubtful)
    batches: Iterator[list[Item]]
    if is_known and find_order.index_of(level, order):
        batches = _from_index(matches, members, order[0], wanted)
    elif is_known and find_order.is_last_update(level, order):
        batches = _from_counters(matches, members, order[0], wanted)
    elif is_known:
        batches = _from_rows(matches, members, Values(level, order))
    else:
        batches = matches.batches(Values(level, order).item, members)
    yield from _identify(matches, _refs(find_order.sort(batches, order, wanted)), since)


def _refs(items: list[Item]) -> list[Ref]:
    return [Ref(item[0]) for item in items]


def _identify(matches: Matches, refs: list[Ref], since: int) -> Iterator[list[ResourceId]]:
    """Iterate over the identifiers of those that are there, behind the first `since`; they are looked at only where something may be hidden."""
    level = matches.search.query.level
    with matches.views.snapshot() as s:
        start = 0 if s.hides_something else since
    since -= start
    for place in range(start, len(refs), PIECE_IDS):
        with matches.views.snapshot() as s:
            some = (present_id(s, level, ref) for ref in refs[place : place + PIECE_IDS])
            found = [each for each in some if each is not None]
        yield found[since:]
        since = max(0, since - len(found))


def _in_depth(matches: Matches, span: Span, since: int, term: Order, depths: Depths) -> list[Ref] | None:
    """Return a page that lies deep in an index; None where it does not, or others than the index names belong to it."""
    limit = matches.search.query.limit
    with matches.views.snapshot() as s:
        keys = depths.page(s, span, since, limit, descends=term.descends)
    if keys is None or (len(keys) < limit and matches.search.is_bare):
        return None
    return [Ref(U64.unpack(each[-8:])[0]) for each in keys]


def _ordered_span(matches: Matches, order: Sequence[Order]) -> Span | None:
    """Return the part of an index, in the order that is asked for, that names all matches and nothing else; None where there is none."""
    kind = find_order.index_of(matches.search.query.level, order)
    if kind is None:
        return None
    whole, source = whole_kind(kind), matches.plan.source
    if matches.search.is_bare:
        return whole
    is_exact = matches.is_decided and not source.needle and source.pattern is None and len(source.spans) == 1
    return source.spans[0] if is_exact and source.spans[0].start[:1] == whole.start else None


def _from_index(matches: Matches, members: Members | None, term: Order, wanted: int) -> Iterator[list[Item]]:
    """Iterate over matches with the values that an index tells, then over those that it does not name, if so many are wanted.

    Of each part of the index those are left out that cannot be among the first `wanted` (0: all).
    """
    level = matches.search.query.level
    kind = find_order.index_of(level, (term,))
    assert kind is not None
    values = Values(level, (term,))
    unnamed = None if members is None else set(members.refs)
    if wanted and unnamed is not None and len(unnamed) >= wanted:  # of fewer the end never tells that all are met
        first = _from_end(matches, whole_kind(kind), unnamed, values, wanted)
        if first is not None:
            yield first
            return
    unnamed = set(_all_refs(matches)) if unnamed is None else unnamed
    count = 0
    for keys in span_keys(matches.views, whole_kind(kind)):
        named = [each for each in keys if each[-8:] in unnamed]
        yield find_order.index_items([each for each in named if len(each) <= LONGEST_WHOLE], term, wanted)
        if cut := [each for each in named if len(each) > LONGEST_WHOLE]:
            with matches.views.snapshot() as s:
                yield _cut_items(s, cut, values)
        if not wanted or count < wanted:
            unnamed.difference_update([each[-8:] for each in named])
        count += len(named)
    if not wanted or count < wanted:
        yield [(U64.unpack(raw)[0], None) for raw in unnamed]


def _from_end(
    matches: Matches, span: Span, members: set[bytes] | None, values: Values, wanted: int
) -> list[Item] | None:
    """Return the first `wanted` matches and some more, if the index soon tells which they are."""
    term = values.terms[0]
    with matches.views.snapshot() as s:
        keys = None if s.hides_something else first_keys(s, span, wanted, members, descends=term.descends)
        if keys is None:
            return None
        cut = [each for each in keys if len(each) > LONGEST_WHOLE]
        if cut and members is None and not matches.search.is_bare:
            return None  # only their rows tell whether they match
        items = find_order.index_items([each for each in keys if len(each) <= LONGEST_WHOLE], term, 0)
        return items + _cut_items(s, cut, values)


def _cut_items(s: Snapshot, keys: list[bytes], values: Values) -> list[Item]:
    """Return the items of keys whose texts were cut, from their rows."""
    refs = [Ref(U64.unpack(each[-8:])[0]) for each in keys]
    return [item for ref in refs if (item := values.item(s, ref, None)) is not None]


def _from_rows(matches: Matches, members: Members | None, values: Values) -> Iterator[list[Item]]:
    """Iterate over all matches with what their rows tell, many of which are read at a time."""
    for s, found in _rows(matches, members):
        read = [(Ref(U64.unpack(raw)[0]), row) for raw, row in found]
        if s.hides_something:
            read = [(ref, row) for ref, row in read if is_present(s, values.level, ref, rows.id_of(row))]
        made = (values.item(s, ref, rows.unpack(row) if values.needs_rows else None) for ref, row in read)
        yield [item for item in made if item is not None]


def _rows(matches: Matches, members: Members | None) -> Iterator[tuple[Snapshot, list[tuple[bytes, bytes]]]]:
    """Iterate over the rows of members (None: all), with the snapshot on which they are read."""
    table = rows.TABLE_OF_LEVEL[matches.search.query.level]
    if members is not None:
        for some in slices(members.refs, BATCH_ROWS):
            with matches.views.snapshot() as s, s.txn.cursor(db=s.tables[table]) as cursor:
                yield s, cursor.getmulti(some)
        return
    after, is_done = b"", False
    while not is_done:
        with matches.views.snapshot() as s, s.txn.cursor(db=s.tables[table]) as cursor:
            found = list(islice(cursor, BATCH_ROWS)) if cursor.set_range(after) else []
            yield s, found
        is_done = len(found) < BATCH_ROWS
        after = found[-1][0] + b"\0" if found else after


def _from_counters(matches: Matches, members: Members | None, term: Order, wanted: int) -> Iterator[list[Item]]:
    """Iterate over all matches with the times of their last updates."""
    refs = _all_refs(matches) if members is None else members.refs
    for some in slices(refs):
        with matches.views.snapshot() as s, s.txn.cursor(db=s.tables[AGGREGATES]) as cursor:
            yield find_order.counter_items(cursor.getmulti(some), term, wanted)


def _all_refs(matches: Matches) -> list[bytes]:
    every = whole_table(rows.TABLE_OF_LEVEL[matches.search.query.level])
    return [each for keys in span_keys(matches.views, every) for each in keys]
