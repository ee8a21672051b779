"""Pages of a query, as QIDO-RS asks for them: the matches in the order in which they came, described while they leave.

The order is that of refs, which never changes: what comes while a client goes from page to page comes behind all that it has seen, and
nothing is missed or met twice. What is deleted meanwhile moves those behind it forward, so that a later page may miss some. Every plan of
a query gives the same order: an index names members, which are sorted; where they are too many, rows are looked at one by one. So
are the first rows for a short page, which is often full soon.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from events.identifiers import Level, Ref
from store.blobs.store import BlobStore
from store.dicom.matching import Dataset
from store.projections import rows
from store.tables import CHILDREN, U64
from store.views.find_files import TagFiles
from store.views.find_index import span_keys
from store.views.find_match import Candidate, Row, Search
from store.views.find_members import BATCH_ROWS, MEMBERS, Matches, Members, is_present, slices
from store.views.find_plan import whole_table
from store.views.find_walk import BATCH_S
from store.views.query import Query
from store.views.snapshot import Snapshot
from store.views.views import Views

DESCRIBED: Final = 100  # resources of one snapshot
LOOKED_AHEAD: Final = 100_000  # a longer page does not tell whether there is more behind it
SHORT: Final = 1_000  # matches that are first looked for among …
TRIED: Final = 500  # … so many rows, in 3 ms
_AT_LEAST: Final = 500  # rows looked at on one snapshot
_UPPER: Final = 1_000  # resources of a higher level, of which what is below is named on one snapshot

Refs = Iterator[list[bytes]]  # ascending, each as the 8 bytes that it is in keys


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the matches of a query."""

    answers: Iterator[Dataset]  # of each the wanted tags it has; read while they are iterated over
    is_cut: bool = False  # there are more matches behind it …
    remaining: int | None = None  # … so many, where an index tells


class Pages:
    """Answers queries. Thread-safe."""

    def __init__(self, views: Views, blobs: BlobStore) -> None:
        self._views = views
        self._blobs = blobs
        self._files = TagFiles(views, blobs)

    def find(self, query: Query, offset: int = 0, check: Callable[[], None] = lambda: None) -> Page:
        """Return up to `query.limit` matches (0: all) behind the first `offset`. `check` may raise while matches are looked for."""
        search = Search(query)
        with self._views.snapshot() as s:
            search.warn(s)
        ahead = query.limit if query.limit <= LOOKED_AHEAD else 0
        found = _Found(Matches(self._views, self._blobs, search), offset + ahead + 1 if ahead else 0)
        refs = chain.from_iterable(_skipped(_checked(found.pieces(), check), offset))
        if not ahead:
            return Page(self._described(search, islice(refs, query.limit or None)))
        page = list(islice(refs, ahead))
        is_cut = next(refs, None) is not None
        remaining = found.total - offset - ahead if is_cut and found.total is not None else None
        return Page(self._described(search, iter(page)), is_cut, remaining)

    def _described(self, search: Search, refs: Iterator[bytes]) -> Iterator[Dataset]:
        query = search.query
        while some := list(islice(refs, DESCRIBED)):
            with self._views.snapshot() as s:
                search.begin()
                candidates = [_describe(s, search, raw, row) for raw, row in _read_rows(s, query.level, some)]
            for candidate in candidates:
                if candidate is None:
                    continue
                unread = candidate.parts.from_file
                if unread:
                    search.warnings.tell_of_reading(candidate.id, unread, reads_files=query.reads_files)
                values = self._files.complete(candidate, query.default_encoding)
                if values is not None:
                    yield {tag: values[tag] for tag in query.wanted if tag in values}


def _read_rows(s: Snapshot, level: Level, refs: list[bytes]) -> list[tuple[bytes, bytes]]:
    with s.txn.cursor(db=s.tables[rows.TABLE_OF_LEVEL[level]]) as cursor:
        read: list[tuple[bytes, bytes]] = cursor.getmulti(refs)
        return read


def _describe(s: Snapshot, search: Search, raw: bytes, packed: bytes) -> Candidate | None:
    """Return what the index tells of a match; None if it has been deleted since."""
    ref, row = Ref(U64.unpack(raw)[0]), rows.unpack(packed)
    try:
        return search.describe(s, ref, row) if is_present(s, search.query.level, ref, row[rows.ID]) else None
    except KeyError:
        return None


def _checked(pieces: Refs, check: Callable[[], None]) -> Refs:
    """Call `check` for each piece: where nothing matches, many that are empty are all there is."""
    for piece in pieces:
        check()
        yield piece


def _skipped(pieces: Refs, offset: int) -> Iterator[Iterable[bytes]]:
    for piece in pieces:
        yield piece[offset:] if offset else piece
        offset = max(0, offset - len(piece))


class _Found:
    """The refs of all matches, as far as they are asked for; `wanted` are needed (0: all)."""

    def __init__(self, matches: Matches, wanted: int) -> None:
        self._matches = matches
        self._wanted = wanted
        self._level = matches.search.query.level
        self.total: int | None = None  # where an index tells, once the first is asked for
        with matches.views.snapshot() as s:
            self._hides_something = s.hides_something

    def pieces(self) -> Refs:
        """Iterate over them, in pieces."""
        matches = self._matches
        plan = matches.plan
        if matches.is_impossible:
            return
        if matches.search.is_bare and not self._hides_something:
            yield from self._every()
            return
        is_short = 0 < self._wanted <= SHORT and not matches.search.may_read_files
        if is_short and not plan.is_small and (tried := self._try_first_rows()) is not None:
            yield tried
            return
        members = matches.members(MEMBERS) if matches.names_level or not plan.source.spans else self._below()
        is_decided = matches.is_decided if matches.names_level else matches.is_decided_above
        if members is None:
            for piece in span_keys(matches.views, whole_table(rows.TABLE_OF_LEVEL[self._level])):
                yield from self._matching(Members(piece))
        elif plan.source.spans and is_decided and not members.doubtful and not self._hides_something:
            self.total = len(members.refs)
            yield members.refs
        else:
            yield from self._matching(members)

    def _every(self) -> Refs:
        with self._matches.views.snapshot() as s:
            totals = s.statistics()
        self.total = (totals.patients, totals.studies, totals.series, totals.instances)[self._level - 1]
        table = whole_table(rows.TABLE_OF_LEVEL[self._level])
        return span_keys(self._matches.views, table, self._wanted or None)

    def _try_first_rows(self) -> list[bytes] | None:
        """Return the first matches, if so many as are wanted are among the first rows."""
        search, found = self._matches.search, []
        with self._matches.views.snapshot() as s, s.txn.cursor(db=s.tables[rows.TABLE_OF_LEVEL[self._level]]) as cursor:
            search.begin()
            deadline = time.monotonic() + BATCH_S
            for raw in islice(cursor.iternext(keys=True, values=False), TRIED):
                if search.match(s, Ref(U64.unpack(raw)[0])) is not None:
                    found.append(raw)
                    if len(found) == self._wanted:
                        return found
                if time.monotonic() > deadline:
                    break
        return None

    def _below(self) -> Members | None:
        """Return what lies below the members that an index of a higher level names; None if that is too much."""
        above = self._matches.named(MEMBERS)
        if above is None:
            return None
        found = Members(doubtful=above.doubtful)
        for some in slices(above.refs, _UPPER):
            refs = some
            with self._matches.views.snapshot() as s:
                for _ in range(self._matches.plan.source.level, self._level):
                    refs = [link[U64.size :] for raw in refs for link in s.keys(CHILDREN, raw)]
            found.refs += refs
            if len(found.refs) > MEMBERS:
                return None
        found.refs.sort()
        return found

    def _matching(self, members: Members) -> Refs:
        most = min(max(self._wanted, _AT_LEAST), BATCH_ROWS) if self._wanted else BATCH_ROWS
        return self._matches.batches(_raw, members, most)


def _raw(_s: Snapshot, ref: Ref, _row: Row | None) -> bytes:
    return U64.pack(ref)
