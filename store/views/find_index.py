"""The indexes of queries: spans of keys in the order of their text, which name resources, and how many are read at a time."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from events.identifiers import Level, Ref
from store.dicom import tags
from store.dicom.matching import Matcher, OneOf, Wildcard
from store.projections import rows
from store.projections.find import index_text
from store.tables import LOOKUP_VALUE_BYTES, U64, FindKind, find_prefix, key
from store.views.snapshot import Snapshot
from store.views.views import Views

LOOKS_AT_CLOCK: Final = 1000  # keys passed over between two looks at the clock; about 0.3 ms
BATCH_KEYS: Final = 50_000  # read on one snapshot, in 15 ms
LONGEST_WHOLE: Final = LOOKUP_VALUE_BYTES + 18  # bytes of a key; a longer one has a text that was cut
_BEGINNING_BYTES: Final = 16  # of a text that is looked for
BATCH_SIEVED: Final = 20_000  # rows, in 25 ms


@dataclass(frozen=True, slots=True)
class Span:
    """Keys of a table from `start` on and before `stop`."""

    table: bytes
    start: bytes
    stop: bytes


class Sieve:
    """Looks for a tag in rows as they are packed, which is quicker than to decode them; lets pass what may match."""

    def __init__(self, tag: int, matcher: Matcher) -> None:
        self._marker = rows.tag_marker(tag)
        self._matcher = matcher
        # A first look, without a frame of Python: 0.3 µs a row.
        self.may_pass = re.compile(re.escape(self._marker) + _SIZE + _beginnings(matcher), re.DOTALL).search

    def passes(self, row: bytes) -> bool:
        return rows.has_text(row, self._marker, self._is_it)

    def _is_it(self, text: bytes) -> bool:
        return self._matcher.matches(text.decode("utf-8", "replace"))


_SIZE: Final = rb"(?:[\xa0-\xbf]|\xd9.|\xda..|\xdb....)"  # of a string in a row


def _beginnings(matcher: Matcher) -> bytes:
    """Return a pattern of how matches of a key begin: any of them does; so may others, such as all with letters beyond ASCII."""
    if isinstance(matcher, Wildcard):
        return _beginning(matcher.prefix)
    return b"(?:" + b"|".join(map(_beginning, matcher.texts)) + b")" if isinstance(matcher, OneOf) else b""


def _beginning(text: str) -> bytes:
    pattern = b""
    for letter in reversed(text.encode()[:_BEGINNING_BYTES]):
        if letter < 0x80:
            either = re.escape(bytes((letter,)).lower()) + b"|" + re.escape(bytes((letter,)).upper())
            pattern = b"(?:(?:" + either + b")" + pattern + b"|[\x80-\xff])"
        else:
            pattern = b"[\x80-\xff]"
    return pattern


@dataclass(frozen=True, slots=True)
class Source:
    """Where candidates come from; no spans: all resources of the level, in order of creation."""

    level: Level  # of the resources that the keys name
    spans: tuple[Span, ...] = ()
    pattern: Matcher | None = None  # of the text in the key, where the span holds others, too …
    needle: bytes = b""  # … and what every match of it has in its key
    names_study: bool = False  # rows of MODALITY, of which the study is wanted
    key: int | str = ""  # of the query, that the index was chosen for: a tag, "labels" or "parents"
    sieve: Sieve | None = None  # of the rows of a table, where there is no index
    decides: bool = False  # what the text in a key says of that is the last word, unless it is cut

    def accepts(self, s: Snapshot, row_key: bytes) -> bool:
        """Whether to look at the resource of a key, as far as the key alone tells; at each study once."""
        return self.may_match(row_key) and (
            not self.names_study or row_key == self._first_of_study(s, self.ref_of(row_key))
        )

    def may_match(self, row_key: bytes) -> bool:
        """Whether the text of a key matches; one that was cut may do so in any case."""
        if self.needle not in row_key and len(row_key) <= LOOKUP_VALUE_BYTES:
            return False
        return self.pattern is None or self._matches_pattern(self.pattern, row_key)

    def _matches_pattern(self, pattern: Matcher, row_key: bytes) -> bool:
        raw = row_key[1:-17] if row_key[0] == FindKind.MODALITY else row_key[1:-9]
        return len(raw) > LOOKUP_VALUE_BYTES or pattern.matches(raw.decode())

    def _first_of_study(self, s: Snapshot, study: Ref) -> bytes | None:
        """The first of the keys that name this study, so that it is looked at once."""
        keys = (
            find_prefix(FindKind.MODALITY, index_text(FindKind.MODALITY, series.tags[tags.MODALITY]))
            + key(study)
            + key(ref)
            for ref in s.child_refs(study)
            if tags.MODALITY in (series := s.get_ref(Level.SERIES, ref)).tags
        )
        spanned = (each for each in keys if any(span.start <= each < span.stop for span in self.spans))
        return min((each for each in spanned if self.may_match(each)), default=None)

    def ref_of(self, row_key: bytes) -> Ref:
        """Return the resource that a key names."""
        return Ref(U64.unpack(self.raw_ref_of(row_key))[0])

    def raw_ref_of(self, row_key: bytes) -> bytes:
        return row_key[-16:-8] if self.names_study else row_key[-8:]


def keys_of(s: Snapshot, span: Span, after: bytes | None = None, source: Source | None = None) -> Iterator[bytes]:
    """Iterate in order over the keys of a span, behind `after` if given.

    Of those that a source's needle or sieve holds back, only one in `LOOKS_AT_CLOCK` is given.
    """
    stop, passed = span.stop, 0
    needle, sieve = (source.needle, source.sieve) if source else (b"", None)
    with s.txn.cursor(db=s.tables[span.table]) as cursor:
        if not cursor.set_range(span.start if after is None else after + b"\0"):
            return
        for row_key in cursor.iternext(keys=True, values=False):
            if row_key >= stop:
                return
            is_passed = needle not in row_key and len(row_key) <= LOOKUP_VALUE_BYTES
            if is_passed or (sieve and not (sieve.may_pass(row := cursor.value()) and sieve.passes(row))):
                passed += 1
                if passed % LOOKS_AT_CLOCK:
                    continue
            yield row_key


def span_keys(
    views: Views, span: Span, first: int | None = None, sieve: Sieve | None = None, most: int | None = None
) -> Iterator[list[bytes]]:
    """Iterate over the keys of a span, many at a time, each time on another snapshot; at first only so many, then `most`."""
    after: bytes | None = None
    most = min(most or BATCH_KEYS, BATCH_SIEVED if sieve else BATCH_KEYS)
    count = min(first or most, most)
    while True:
        with views.snapshot() as s, s.txn.cursor(db=s.tables[span.table]) as cursor:
            if not cursor.set_range(span.start if after is None else after + b"\0"):
                return
            if sieve:
                read = list(islice(cursor, count))
                keys = [row_key for row_key, _ in read]
                named = [row_key for row_key, row in read if sieve.may_pass(row) and sieve.passes(row)]
            else:
                named = keys = list(islice(cursor.iternext(keys=True, values=False), count))
        after = keys[-1]
        if after >= span.stop:
            yield named[: bisect_left(named, span.stop)]
            return
        yield named
        if len(keys) < count:
            return
        count = most
