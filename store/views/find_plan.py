"""Which index a query starts from: the one that leaves the fewest candidates, counted in the index itself.

Every span of keys holds at least the rows of all matches; whether a candidate matches is told by its row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from events.identifiers import Level
from store.dicom import tags
from store.dicom.dictionary import dictionary_vr
from store.dicom.fuzzy_names import SoundsLike
from store.dicom.indexed_tags import MAIN_DICOM_TAGS
from store.dicom.matching import Between, Matcher, OneOf, Wildcard, fold
from store.dicom.value_matching import AllOf, InParts
from store.projections import rows
from store.projections.find import UNFOLDED, index_text
from store.tables import (
    FIND,
    LABELLED,
    LOOKUP,
    LOOKUP_VALUE_BYTES,
    FindKind,
    LookupKind,
    find_prefix,
    key,
    lookup_prefix,
    normalize_identifier,
)
from store.views.find_index import Sieve, Source, Span, keys_of
from store.views.find_match import Search
from store.views.query import Query
from store.views.snapshot import Snapshot

COUNT_LIMIT: Final = 2000  # rows counted of one index before it is taken for a large one; about 1 ms

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
class Plan:
    """How a query begins."""

    source: Source
    rows: int  # of the source, counted up to a limit
    is_small: bool  # there are no more


def choose_source(s: Snapshot, search: Search) -> Source:
    """The cheapest way to the resources that may match a query: an index, or else all of them."""
    return choose_plan(s, search).source


def choose_plan(s: Snapshot, search: Search) -> Plan:
    """The same with what it was chosen for."""
    level = search.query.level
    best, best_cost = Source(level), (COUNT_LIMIT + 1, False)
    for source in _sources(s, search):
        is_searched = bool(source.needle or source.pattern or source.sieve)
        is_counted = source.sieve is None and len(source.spans) <= COUNT_LIMIT
        cost = (_count(s, source, best_cost[0]) if is_counted else COUNT_LIMIT, is_searched)
        if cost < best_cost:
            best, best_cost = source, cost
    rows = min(best_cost[0], COUNT_LIMIT)
    return Plan(best, rows, bool(best.spans) and rows < COUNT_LIMIT)


def _count(s: Snapshot, source: Source, limit: int) -> int:
    """How many rows an index would give, counted up to a limit."""
    rows = (row_key for span in source.spans for row_key in keys_of(s, span))
    return sum(1 for _ in islice(rows, min(limit, COUNT_LIMIT)))


def _sources(s: Snapshot, search: Search) -> Iterator[Source]:
    yield from _sources_of_parents(s, search.query)
    yield from _sources_of_labels(search.query)
    for tag, matcher in search.query.keys.items():
        if matcher.matches(None):
            continue  # an index names nothing that lacks the tag
        source = _source_of_tag(search.query, tag, matcher) or _sieved(search.query.level, tag, matcher)
        if source is not None:
            yield replace(source, key=tag)


def _sources_of_parents(s: Snapshot, query: Query) -> Iterator[Source]:
    """The resource itself, by the key of its row; nothing, where it is not there."""
    for level, parent in query.parents.items():
        place = s.find(parent)
        start = b"" if place is None or place[0] != level else key(place[1])
        yield Source(level, (Span(rows.TABLE_OF_LEVEL[level], start, start and start + b"\0"),), key="parents")


def _sources_of_labels(query: Query) -> Iterator[Source]:
    """Of several labels each that must be there, or all of those of which one must."""
    if query.labels is None or query.labels.constraint == "None":
        return
    prefixes = [label.encode() + b"\0" for label in sorted(query.labels.labels)]
    spans = tuple(Span(LABELLED, prefix, _after(prefix)) for prefix in prefixes)
    if query.labels.constraint == "Any" and spans:
        yield Source(query.level, spans, key="labels")
    elif query.labels.constraint == "All":
        yield from (Source(query.level, (span,), key="labels") for span in spans)


def _source_of_tag(query: Query, tag: int, matcher: Matcher) -> Source | None:
    level = query.level
    if tag in _IDENTIFIERS and _IDENTIFIERS[tag][1] <= level:
        kind, of_level = _IDENTIFIERS[tag]
        return _identifier_source(of_level, kind, matcher)
    if level == Level.PATIENT and tag == tags.PATIENT_NAME:
        return _find_source(Level.PATIENT, FindKind.PATIENT_NAME, matcher)
    if level >= Level.STUDY and tag in _STUDY_TAGS:
        return _find_source(Level.STUDY, _STUDY_TAGS[tag], matcher)
    if tag == tags.MODALITIES_IN_STUDY and (level == Level.STUDY or (query.is_relational and level > Level.STUDY)):
        return _find_source(Level.STUDY, FindKind.MODALITY, matcher, names_study=True)
    if level >= Level.SERIES and tag == tags.MODALITY:
        return _find_source(Level.SERIES, FindKind.MODALITY, matcher)
    return None


def _sieved(level: Level, tag: int, matcher: Matcher) -> Source | None:
    """The rows of the level that a tag without an index belongs to, unless that can be one of two; a study has its patient's."""
    homes = [home for home in Level if home <= level and tag in MAIN_DICOM_TAGS[home]]
    if len(homes) != 1 or dictionary_vr(tag) == "SQ":
        return None
    home = Level.STUDY if homes == [Level.PATIENT] and level > Level.PATIENT else homes[0]
    return Source(home, (whole_table(rows.TABLE_OF_LEVEL[home]),), sieve=Sieve(tag, matcher))


def _identifier_source(level: Level, kind: LookupKind, matcher: Matcher) -> Source | None:
    """Identifiers lie there in upper case and without padding, so that a span may hold a few too many."""
    whole = bytes((kind,))
    match matcher:
        case OneOf() | Wildcard() if matcher.matches(""):
            return None  # a patient without PatientID may have studies in which it is there and empty
        case OneOf():
            prefixes = sorted({lookup_prefix(kind, text) for text in matcher.texts})
            return Source(level, tuple(Span(LOOKUP, prefix, _after(prefix)) for prefix in prefixes))
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
    all_of_it = (whole_kind(kind),)
    decides = isinstance(matcher, Between) or (isinstance(matcher, OneOf | Wildcard) and matcher.folds)
    source = Source(level, all_of_it, names_study=names_study, decides=decides or kind in UNFOLDED)
    match matcher:
        case OneOf():
            texts = {index_text(kind, text) for text in matcher.texts}
            prefixes = sorted(find_prefix(kind, text) for text in texts)
            return replace(
                source,
                spans=tuple(Span(FIND, prefix, _after(prefix)) for prefix in prefixes),
                decides=source.decides and not any(map(_is_cut, texts)),
            )
        case Between():
            start = whole + _cut(matcher.low or "")
            return replace(source, spans=(Span(FIND, start, _upper(whole, matcher.high)),))
        case Wildcard():
            prefix = _cut(index_text(kind, matcher.prefix))
            start = whole + prefix
            return replace(
                source,
                spans=(Span(FIND, start, _after(start)),) if prefix else all_of_it,
                pattern=None if matcher.pattern == matcher.prefix + "*" else Wildcard(matcher.pattern, folds=True),
                needle=b"" if prefix else fold(matcher.longest_part).encode(),
            )
        case SoundsLike():
            return replace(source, pattern=matcher, decides=True)
        case AllOf():
            return replace(_find_source(level, kind, matcher.keys[0], names_study=names_study), decides=False)
        case InParts():  # of one text, where an index has each value by itself
            return replace(_find_source(level, kind, matcher.key, names_study=names_study), decides=False)
        case _:
            return replace(source, decides=False)


def whole_table(table: bytes) -> Span:
    """Return all rows of a table whose keys are refs."""
    return Span(table, b"", b"\xff" * 9)


def whole_kind(kind: FindKind) -> Span:
    """Return all keys of one kind."""
    whole = bytes((kind,))
    return Span(FIND, whole, _after(whole))


def _is_cut(text: str) -> bool:
    return len(text.encode()) > LOOKUP_VALUE_BYTES


def _upper(kind: bytes, high: str | None) -> bytes:
    if high is None:
        return _after(kind)
    return kind + high.encode() + b"\1" if len(high.encode()) <= LOOKUP_VALUE_BYTES else _after(kind + _cut(high))


def _cut(text: str) -> bytes:
    return text.encode()[:LOOKUP_VALUE_BYTES]


def _after(prefix: bytes) -> bytes:
    """The first key behind all that start with `prefix`; no prefix here ends in 0xff."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))
