"""A page deep in an order by values: it is read where it lies in the index, from marks that tell how many keys are in front of each.

Marks are made by one look at all keys, 0.4 µs each, and serve until the archive changes. They exist only where the order of the keys is
that of the answers: orders compare normal forms (`store.views.find_order`), so all texts must be whole and their own normal forms.
Equal values come as they were created in both directions, so a descending page goes backward from text to text, and forward in each.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from operator import itemgetter
from threading import Lock
from typing import Final

from store.views.find_index import LONGEST_WHOLE, Span
from store.views.find_order import are_normal
from store.views.snapshot import Snapshot

DEEP: Final = 10_000  # answers in front of a page for which marks are made
MARKED: Final = 10_000  # keys from one mark to the next
_KEPT: Final = 8  # spans, each with 100 marks for a million of keys
_REF_BYTES: Final = 8
_TEXT: Final = itemgetter(slice(1, -_REF_BYTES - 1))


@dataclass(frozen=True, slots=True)
class _Line:
    """A span with its marks."""

    span: Span
    firsts: list[bytes]  # the key at each mark …
    fronts: list[int]  # … and how many of the span are in front of it
    total: int


class Depths:
    """The marks of what was last asked for. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: OrderedDict[tuple[int, Span], _Line | None] = OrderedDict()

    def page(self, s: Snapshot, span: Span, since: int, limit: int, *, descends: bool) -> list[bytes] | None:
        """Return up to `limit` keys behind the first `since` of a span's order; None where that is not told, or nearer to the beginning."""
        if s.hides_something:
            return None
        place = (s.txn.id(), span)
        with self._lock:
            is_known = place in self._lines
            line = self._lines.get(place)
        if not is_known and since < DEEP:
            return None
        if not is_known:
            line = _look_at(s, span)
            with self._lock:
                self._lines[place] = line
                if len(self._lines) > _KEPT:
                    self._lines.popitem(last=False)
        if line is None or since >= line.total:
            return None
        return list(
            islice(_backward(s, line, since) if descends else _forward(s, span, _key_at(s, line, since)), limit)
        )


def _look_at(s: Snapshot, span: Span) -> _Line | None:
    firsts, fronts, total = list[bytes](), list[int](), 0
    with s.txn.cursor(db=s.tables[span.table]) as cursor:
        keys = cursor.iternext(keys=True, values=False) if cursor.set_range(span.start) else iter(())
        while some := list(islice(keys, MARKED)):
            some = some[: bisect_left(some, span.stop)]
            if not some:
                break
            if max(map(len, some)) > LONGEST_WHOLE or not are_normal(list(map(_TEXT, some))):
                return None
            firsts.append(some[0])
            fronts.append(total)
            total += len(some)
    return _Line(span, firsts, fronts, total)


def _forward(s: Snapshot, span: Span, start: bytes) -> Iterator[bytes]:
    with s.txn.cursor(db=s.tables[span.table]) as cursor:
        if cursor.set_range(start):
            yield from takewhile(lambda row_key: row_key < span.stop, cursor.iternext(keys=True, values=False))


def _backward(s: Snapshot, line: _Line, since: int) -> Iterator[bytes]:
    prefix = _key_at(s, line, line.total - 1 - since)[:-_REF_BYTES]
    behind = _behind(prefix)
    skipped = since - (line.total - _rank(s, line, behind))  # of those with the same text
    while True:
        yield from islice(_forward(s, Span(line.span.table, prefix, behind), prefix), skipped, None)
        with s.txn.cursor(db=s.tables[line.span.table]) as cursor:
            cursor.set_range(prefix)
            if not cursor.prev() or cursor.key() < line.span.start:
                return
            prefix = cursor.key()[:-_REF_BYTES]
        behind, skipped = _behind(prefix), 0


def _behind(prefix: bytes) -> bytes:
    """Return what comes behind all keys with a text; such a prefix ends in a zero."""
    return prefix[:-1] + b"\1"


def _key_at(s: Snapshot, line: _Line, place: int) -> bytes:
    mark = bisect_right(line.fronts, place) - 1
    return next(islice(_forward(s, line.span, line.firsts[mark]), place - line.fronts[mark], None))


def _rank(s: Snapshot, line: _Line, row_key: bytes) -> int:
    """Return how many keys of the span are in front of one, which need not be there."""
    mark = max(0, bisect_left(line.firsts, row_key) - 1)
    until = Span(line.span.table, line.span.start, min(row_key, line.span.stop))
    return line.fronts[mark] + sum(1 for _ in _forward(s, until, line.firsts[mark]))
