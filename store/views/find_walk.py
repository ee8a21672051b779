"""A way over the resources that a source of a query names, resource by resource, over many short snapshots.

Between two snapshots a position is kept and nothing else.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final

from events.identifiers import Level, Ref
from store.tables import CHILDREN, U64, child_key, key
from store.views.find_index import Source, keys_of
from store.views.find_match import Row, Search
from store.views.snapshot import Snapshot

BATCH_S: Final = 0.1  # a snapshot is kept no longer; then the caller can check whether its peer has cancelled
BATCH_ANSWERS: Final = 200  # likewise, so that the first answers leave early and few are in memory

Path = tuple[Ref, ...]  # refs below a candidate of the index, down to the level that is asked for


class Walk:
    """How far a query has come; enough to go on in another snapshot."""

    def __init__(self, source: Source, level: Level, batch_answers: int = 0) -> None:
        self._source = source
        self._level = level
        self._batch = batch_answers or BATCH_ANSWERS
        self._span = 0  # of the source, which is being read
        self._last: bytes | None = None  # key of the index that was read last
        self._root: Ref | None = None  # the resource of that key, while what is below it is being gone through …
        self._path: Path = ()  # … as far as this
        self.is_done = False

    def matches(self, s: Snapshot, search: Search) -> Iterator[tuple[Ref, Row]]:
        """Iterate over matches from here on, as far as the index tells, until the batch is full or its time is over."""
        deadline = time.monotonic() + BATCH_S
        search.begin()
        found = 0
        with closing(self._refs(s)) as refs:
            for ref in refs:
                row = None if ref is None else search.match(s, ref)
                if ref is not None and row is not None:
                    found += 1
                    yield ref, row
                if found == self._batch or time.monotonic() > deadline:
                    return
        self.is_done = True

    def _refs(self, s: Snapshot) -> Generator[Ref | None, None, None]:
        """Iterate over the refs that the source gives; None for keys that are passed over, some of them."""
        source = self._source
        if not source.spans:
            for ref in s.list_refs(source.level, after=Ref(U64.unpack(self._last)[0]) if self._last else None):
                self._last = key(ref)
                yield ref
            return
        yield from self._below(s)
        while self._span < len(source.spans):
            for row_key in keys_of(s, source.spans[self._span], self._last, source):
                self._last = row_key
                if source.accepts(s, row_key):
                    self._root = source.ref_of(row_key)
                    yield from self._below(s)
                else:
                    yield None
            self._span += 1
            self._last = None
            yield None

    def _below(self, s: Snapshot) -> Iterator[Ref]:
        """Iterate over what is wanted below the position's root (or that itself), behind its path."""
        root = self._root
        if root is None:
            return
        if self._source.level == self._level:
            self._root = None
            yield root
            return
        for path in _paths(s, self._source.level, root, self._level, self._path):
            self._path = path
            yield path[-1]
        self._root, self._path = None, ()


def _paths(s: Snapshot, at: Level, ref: Ref, target: Level, after: Path) -> Iterator[Path]:
    """Iterate over the refs of `target` level below a resource, each with what leads to it, behind the path `after`."""
    first = after[0] if after else None
    below = Level(at + 1)
    for link in s.keys(CHILDREN, key(ref), None if first is None else child_key(ref, first)):
        child = Ref(U64.unpack(link[8:])[0])
        if below == target:
            if child != first:
                yield (child,)
        else:
            for path in _paths(s, below, child, target, after[1:] if child == first else ()):
                yield (child, *path)
