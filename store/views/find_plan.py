"""Which index a query starts from: the one that leaves the fewest candidates, counted in the index itself.

Every span of keys holds at least the rows of all matches; whether a candidate matches is told by its row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from events.identifiers import Level, Ref
from store.dicom import tags
from store.dicom.matching import Between, Matcher, OneOf, Wildcard, fold
from store.projections.find import index_text
from store.tables import (
    FIND,
    LOOKUP,
    LOOKUP_VALUE_BYTES,
    U64,
    FindKind,
    LookupKind,
    find_prefix,
    key,
    lookup_prefix,
    normalize_identifier,
)
from store.views.snapshot import Snapshot

COUNT_LIMIT: Final = 2000  # rows counted of one index before it is taken for a large one; about 1 ms
LOOKS_AT_CLOCK: Final = 1000  # keys passed over between two looks at the clock; about 0.3 ms

# (level of the query's tag, tag) -> kind of row, level of the resources it names; a query's level is this one or lower.
_IDENTIFIERS: Final = {
    tags.PATIENT_ID: (LookupKind.PATIENT_ID, Level.PATIENT),
    tags.STUDY_INSTANCE_UID: (LookupKind.STUDY_INSTANCE_UID, Level.STUDY),
    tags.ACCESSION_NUMBER: (LookupKind.ACCESSION_NUMBER, Level.STUDY),
    tags.SERIES_INSTANCE_UID: (LookupKind.SERIES_INSTANCE_UID, Level.SERIES),
    tags.SOP_INSTANCE_UID: (LookupKind.SOP_INSTANCE_UID, Level.INSTANCE),
}
_STUDY_TAGS: Final = {
    tags.PATIENT_NAME: FindKind.STUDY_PATIENT_NAME,
    tags.PATIENT_BIRTH_DATE: FindKind.STUDY_BIRTH_DATE,
    tags.STUDY_DATE: FindKind.STUDY_DATE,
    tags.STUDY_DESCRIPTION: FindKind.STUDY_DESCRIPTION,
    tags.REFERRING_PHYSICIAN_NAME: FindKind.STUDY_REFERRER,
}


@dataclass(frozen=True, slots=True)
class Span:
    """Keys of a table from `start` on and before `stop`."""

    table: bytes
    start: bytes
    stop: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """Where candidates come from; no spans: all resources of the level, in order of creation."""

    level: Level  # of the resources that the keys name
    spans: tuple[Span, ...] = ()
    pattern: Matcher | None = None  # of the text in the key, where no prefix narrows the span …
    needle: bytes = b""  # … and what every match of it has in its key
    names_study: bool = False  # rows of MODALITY, of which the study is wanted

    def accepts(self, s: Snapshot, row_key: bytes) -> bool:
        """Whether to look at the resource of a key, as far as the key alone tells."""
        if self.needle not in row_key and len(row_key) <= LOOKUP_VALUE_BYTES:
            return False
        if self.pattern is not None and not self._matches_pattern(row_key):
            return False
        return not self.names_study or row_key == self._first_of_study(s, self.ref_of(row_key))

    def _matches_pattern(self, row_key: bytes) -> bool:
        raw = row_key[1:-9] if row_key[0] != FindKind.MODALITY else row_key[1:-17]
        # A value that was cut is looked at in any case.
        return self.pattern is None or len(raw) > LOOKUP_VALUE_BYTES or self.pattern.matches(raw.decode())

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
        return min((each for each in spanned if self._matches_pattern(each)), default=None)

    def ref_of(self, row_key: bytes) -> Ref:
        """Return the resource that a key names."""
        return Ref(U64.unpack(row_key[-16:-8] if self.names_study else row_key[-8:])[0])


def choose_source(s: Snapshot, level: Level, keys: Mapping[int, Matcher]) -> Source:
    """The cheapest way to the resources of `level` that may match `keys`: an index, or else all of them."""
    best, best_cost = Source(level), (COUNT_LIMIT + 1, False)
    for source in _sources(level, keys):
        cost = (_count(s, source, best_cost[0]), bool(source.needle) or source.pattern is not None)
        if cost < best_cost:
            best, best_cost = source, cost
    return best


def _count(s: Snapshot, source: Source, limit: int) -> int:
    """How many rows an index would give, counted up to a limit."""
    rows = (row_key for span in source.spans for row_key in keys_of(s, span))
    return sum(1 for _ in islice(rows, min(limit, COUNT_LIMIT)))


def keys_of(s: Snapshot, span: Span, after: bytes | None = None, needle: bytes = b"") -> Iterator[bytes]:
    """Iterate in order over the keys of a span, behind `after` if given.

    Of those without `needle` in them only one in `LOOKS_AT_CLOCK` is given, and those whose text is cut.
    """
    stop, passed = span.stop, 0
    with s.txn.cursor(db=s.tables[span.table]) as cursor:
        if not cursor.set_range(span.start if after is None else after + b"\0"):
            return
        for row_key in cursor.iternext(keys=True, values=False):
            if row_key >= stop:
                return
            if needle in row_key or len(row_key) > LOOKUP_VALUE_BYTES:
                yield row_key
                continue
            passed += 1
            if not passed % LOOKS_AT_CLOCK:
                yield row_key


def _sources(level: Level, keys: Mapping[int, Matcher]) -> Iterator[Source]:
    for tag, matcher in keys.items():
        if tag in _IDENTIFIERS and _IDENTIFIERS[tag][1] <= level:
            kind, of_level = _IDENTIFIERS[tag]
            source = _identifier_source(of_level, kind, matcher)
            if source is not None:
                yield source
        elif level == Level.PATIENT and tag == tags.PATIENT_NAME:
            yield _find_source(Level.PATIENT, FindKind.PATIENT_NAME, matcher)
        elif level >= Level.STUDY and tag in _STUDY_TAGS:
            yield _find_source(Level.STUDY, _STUDY_TAGS[tag], matcher)
        elif level == Level.STUDY and tag == tags.MODALITIES_IN_STUDY:
            yield _find_source(Level.STUDY, FindKind.MODALITY, matcher, names_study=True)
        elif level >= Level.SERIES and tag == tags.MODALITY:
            yield _find_source(Level.SERIES, FindKind.MODALITY, matcher)


def _identifier_source(level: Level, kind: LookupKind, matcher: Matcher) -> Source | None:
    """Identifiers lie there in upper case and without padding, so that a span may hold a few too many."""
    whole = bytes((kind,))
    match matcher:
        case OneOf():
            prefixes = sorted({lookup_prefix(kind, text) for text in matcher.texts})
            return Source(level, tuple(Span(LOOKUP, prefix, _after(prefix)) for prefix in prefixes))
        case Wildcard() if matcher.matches(""):
            return None  # a patient without PatientID may have studies in which it is there and empty
        case Wildcard() if beginning := normalize_identifier(matcher.prefix):
            start = whole + _cut(beginning)
            return Source(level, (Span(LOOKUP, start, _after(start)),))
        case Wildcard():
            needle = normalize_identifier(matcher.longest_part).encode()
            return Source(level, (Span(LOOKUP, whole, _after(whole)),), needle=needle)
        case _:
            return None


def _find_source(level: Level, kind: FindKind, matcher: Matcher, *, names_study: bool = False) -> Source:
    whole = bytes((kind,))
    match matcher:
        case OneOf():
            prefixes = sorted({find_prefix(kind, index_text(kind, text)) for text in matcher.texts})
            spans = tuple(Span(FIND, prefix, _after(prefix)) for prefix in prefixes)
            return Source(level, spans, names_study=names_study)
        case Between():
            span = Span(FIND, whole + _cut(matcher.low or ""), _upper(whole, matcher.high))
            return Source(level, (span,), names_study=names_study)
        case Wildcard() if matcher.prefix:
            start = whole + _cut(index_text(kind, matcher.prefix))
            return Source(level, (Span(FIND, start, _after(start)),), names_study=names_study)
        case Wildcard():
            pattern = Wildcard(matcher.pattern, folds=True)
            needle = fold(matcher.longest_part).encode()
            return Source(level, (Span(FIND, whole, _after(whole)),), pattern, needle, names_study)
        case _:
            return Source(level, (Span(FIND, whole, _after(whole)),), names_study=names_study)


def _upper(kind: bytes, high: str | None) -> bytes:
    if high is None:
        return _after(kind)
    return kind + high.encode() + b"\1" if len(high.encode()) <= LOOKUP_VALUE_BYTES else _after(kind + _cut(high))


def _cut(text: str) -> bytes:
    return text.encode()[:LOOKUP_VALUE_BYTES]


def _after(prefix: bytes) -> bytes:
    """The first key behind all that start with `prefix`; no prefix here ends in 0xff."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))
