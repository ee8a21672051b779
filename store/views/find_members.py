"""The resources that an index names, as a set of refs, and the matches of a query among them.

Many indexes tell all there is to know: their keys hold the text that a query asks for. Then no row is read.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from events.identifiers import Level, Ref, ResourceId
from store.blobs.store import BlobStore
from store.tables import METADATA, U32, U64
from store.views.find_files import TagFiles
from store.views.find_index import BATCH_KEYS, LONGEST_WHOLE, Source, span_keys
from store.views.find_match import Candidate, Row, Search
from store.views.find_plan import Plan, choose_plan, whole_table
from store.views.find_walk import BATCH_S, Walk
from store.views.snapshot import Snapshot
from store.views.views import Views

T = TypeVar("T")

MEMBERS: Final = 250_000  # refs of a set, 20 MB; beyond, rows are looked at
BATCH_ROWS: Final = 5_000  # matches of one snapshot at most
LOOKS_AT_CLOCK: Final = 50  # rows between two looks at the clock


@dataclass(slots=True)
class Members:
    """Refs as the 8 bytes that they are in keys, in order of creation, each once: 100,000 are 5 MB."""

    refs: list[bytes] = field(default_factory=list)
    doubtful: set[bytes] = field(default_factory=set)  # of those whose text was cut: the row must tell


class Matches:
    """What matches a query, in the order in which its plan gives it."""

    def __init__(self, views: Views, blobs: BlobStore, search: Search) -> None:
        self.views = views
        self.search = search
        self._files = TagFiles(views, blobs)
        with views.snapshot() as s:
            self.is_impossible = search.is_impossible(s)
            self.plan: Plan = choose_plan(s, search)

    @property
    def is_decided(self) -> bool:
        """Whether the keys of the index tell all matches, but for texts that were cut."""
        return self.names_level and self.is_decided_above

    @property
    def is_decided_above(self) -> bool:
        """Whether all below what the index names matches, or that itself."""
        return self.plan.source.decides and self.search.is_decided_by(self.plan.source.key)

    @property
    def names_level(self) -> bool:
        """Whether there is an index, of the level that is asked for."""
        return bool(self.plan.source.spans) and self.plan.source.level == self.search.query.level

    def members(self, maximum: int) -> Members | None:
        """Return what the index names, or else what has the metadata, None if that is more than `maximum` or not of this level.

        Unless it `is_decided`, the rows of these must still be looked at.
        """
        if self.plan.source.spans or not self.search.of_clients:
            return self.named(maximum) if self.names_level else None
        refs: list[bytes] = []
        number = U32.pack(self.search.of_clients[0])
        for keys in span_keys(self.views, whole_table(METADATA)):
            refs += [each[: U64.size] for each in keys if each.endswith(number)]
            if len(refs) > maximum:
                return None
        return Members(refs)

    def named(self, maximum: int) -> Members | None:
        """Return what the index names, of whatever level that is, None if that is more than `maximum`."""
        found = Members()
        source = self.plan.source
        ref_place = slice(-16, -8) if source.names_study else slice(-8, None)
        for span in source.spans:
            for keys in span_keys(self.views, span, self.plan.rows + 1, source.sieve, maximum + 1):
                named = keys
                cut = (
                    [each for each in keys if len(each) > LONGEST_WHOLE]
                    if max(map(len, keys), default=0) > LONGEST_WHOLE
                    else []
                )
                if source.needle:  # without a look at the length of each: half of the time
                    needle = source.needle
                    named = [each for each in keys if needle in each] + [each for each in cut if needle not in each]
                if source.pattern is not None:
                    named = [each for each in named if source.may_match(each)]
                    cut = [each for each in cut if source.may_match(each)]
                found.refs += [each[ref_place] for each in named]
                found.doubtful.update([each[ref_place] for each in cut])
                if len(found.refs) > maximum:
                    return None
        if source.names_study or len(source.spans) > 1:  # which may name a resource several times
            found.refs = list(dict.fromkeys(found.refs))
        found.refs.sort()
        return found

    def batches(
        self, take: Callable[[Snapshot, Ref, Row | None], T | None], members: Members | None, most: int = 0
    ) -> Iterator[list[T]]:
        """Iterate over what `take` makes of the matches, those of one snapshot at a time, `most` of them (0: `BATCH_ROWS`).

        It gets None for rows that were not read: such a resource may have been deleted since, which it tells by None. Without `members` the plan's own way is gone.
        """
        search = self.search
        if self.is_impossible:
            return
        way: _Known | Walk
        if members is not None:
            way = _Known(members.refs, members.doubtful if self.is_decided else None, most or BATCH_ROWS)
        else:  # many members, which may be named twice, are met by going through the whole level
            source = Source(search.query.level) if self.names_level else self.plan.source
            way = Walk(source, search.query.level, most or BATCH_ROWS)
        while not way.is_done:
            with self.views.snapshot() as s:
                made = [
                    (each, search.describe(s, ref, row) if row and search.may_read_files else None)
                    for ref, row in way.matches(s, search)
                    if (each := take(s, ref, row)) is not None
                ]
            yield [each for each, file in made if file is None or self.is_match(file)]

    def is_match(self, candidate: Candidate) -> bool:
        """Whether a file says so, too."""
        return self._files.complete(candidate, self.search.query.default_encoding) is not None


class _Known:
    """A way over refs that are known; the rows of the doubtful ones are looked at, of all for None."""

    def __init__(self, refs: list[bytes], doubtful: set[bytes] | None, most: int) -> None:
        self._most = most  # rows of one batch
        self._waiting = refs[::-1]
        self._doubtful = doubtful

    @property
    def is_done(self) -> bool:
        return not self._waiting

    def matches(self, s: Snapshot, search: Search) -> Iterator[tuple[Ref, Row | None]]:
        """Iterate over matches from here on, until the batch is full or its time is over."""
        deadline = time.monotonic() + BATCH_S
        search.begin()
        for number in range(1, min(len(self._waiting), self._most) + 1):
            raw = self._waiting.pop()
            ref = Ref(U64.unpack(raw)[0])
            if self._doubtful is not None and raw not in self._doubtful and not s.hides_something:
                yield ref, None
            elif (row := search.match(s, ref)) is not None:
                yield ref, row
            if not number % LOOKS_AT_CLOCK and time.monotonic() > deadline:
                return


def slices(refs: list[bytes], size: int = BATCH_KEYS) -> Iterator[list[bytes]]:
    """Iterate over parts of a list."""
    return (refs[start : start + size] for start in range(0, len(refs), size))


def present_id(s: Snapshot, level: Level, ref: Ref) -> ResourceId | None:
    """Return the identifier of a resource, None if it has been deleted meanwhile."""
    try:
        resource = s.id_of(level, ref)
    except KeyError:
        return None
    return resource if is_present(s, level, ref, resource) else None


def is_present(s: Snapshot, level: Level, ref: Ref, resource: ResourceId) -> bool:
    """Tell whether what has a row is not below something deleted, or an earlier life."""
    return not s.hides_something or s.find(resource) == (level, ref)
