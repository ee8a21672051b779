"""The order of answers by values, as SQLite gives it to Orthanc 1.12.7: equal ones come as they were created.

Identifiers and what Orthanc looks up like them are compared without case, padding and characters beyond ASCII, other tags and
metadata byte by byte, or as the number that a text begins with. A resource without the value comes last by the last term, and
by one before as if the value were smaller than all. Series and instances are ordered by what the patient tells of itself, a
study by what it tells of its patient. Source: observed on Orthanc 1.12.7.
"""

import heapq
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from events.identifiers import Level, Ref
from events.metadata import BUILT_IN
from store.dicom import tags
from store.dicom.indexed_tags import MAIN_DICOM_TAGS
from store.dicom.matching import fold
from store.projections import rows
from store.tables import U64, FindKind, key
from store.views.find_match import ONLY_OWN, Row
from store.views.metadata import find_metadata
from store.views.query import Cast, Order
from store.views.resource_tags import main_tags_of_row
from store.views.snapshot import Snapshot

TRIMMED: Final = 5_000  # more than are wanted are kept before the last ones are dropped

# Tags of which Orthanc compares a normal form; where there is an index of them, at its level, it tells the values.
_NORMALIZED: Final = frozenset(
    (
        tags.PATIENT_ID, tags.PATIENT_NAME, tags.PATIENT_BIRTH_DATE, tags.STUDY_DATE, tags.STUDY_INSTANCE_UID,
        tags.ACCESSION_NUMBER, tags.STUDY_DESCRIPTION, tags.SERIES_INSTANCE_UID, tags.SOP_INSTANCE_UID,
    )
)  # fmt: skip
_INDEXES: Final = {
    (Level.PATIENT, tags.PATIENT_NAME): FindKind.PATIENT_NAME,
    (Level.STUDY, tags.PATIENT_NAME): FindKind.STUDY_PATIENT_NAME,
    (Level.STUDY, tags.PATIENT_BIRTH_DATE): FindKind.STUDY_BIRTH_DATE,
    (Level.STUDY, tags.STUDY_DATE): FindKind.STUDY_DATE,
    (Level.STUDY, tags.STUDY_DESCRIPTION): FindKind.STUDY_DESCRIPTION,
}
_OF_PATIENT: Final = frozenset(MAIN_DICOM_TAGS[Level.PATIENT])
_LAST_UPDATE: Final = BUILT_IN["LastUpdate"]
_INTEGER: Final = re.compile(r"\s*([+-]?\d+)")
_REAL: Final = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")
_KNOWN: Final = 2_000  # studies and series of which the tags are kept
_LAST_UPDATE_AT: Final = slice(9, 17)  # in a row of AGGREGATES

Item = tuple[Any, ...]  # a ref, then a value for each term; None where there is none


def index_of(level: Level, terms: Sequence[Order]) -> FindKind | None:
    """Return the index whose keys hold all values of an order, None if there is none."""
    only = terms[0]
    return _INDEXES.get((level, only.tag)) if len(terms) == 1 and only.cast == Cast.TEXT else None


def index_items(keys: list[bytes], term: Order, wanted: int) -> list[Item]:
    """Return the items of keys of that index, which are in order, without those that cannot be among the first `wanted` (0: all).

    Texts that are in their normal form, as most are, have its order.
    """
    texts = [each[1:-9] for each in keys]
    if 0 < wanted < len(texts) and are_normal(texts):
        if term.descends:
            keys = keys[bisect_left(texts, texts[-wanted]) :]
        else:
            keys = keys[: bisect_right(texts, texts[wanted - 1])]
    return [(U64.unpack(each[-8:])[0], _normal_bytes(each[1:-9])) for each in keys]


def are_normal(texts: list[bytes]) -> bool:
    """Tell whether texts are in the form in which they are compared, and have the order of their keys, as far as that is quickly told of all together."""
    whole = b"\0" + b"\0".join(texts) + b"\0"
    if whole.count(b"\0") != len(texts) + 1:
        return False
    padded = (b"\0 ", b" \0", b"\t", b"\n", b"\r", b"\v", b"\f")
    return whole.isascii() and whole.upper() == whole and not any(map(whole.__contains__, padded))


def is_last_update(level: Level, terms: Sequence[Order]) -> bool:
    """Whether the counters of resources hold all values of an order."""
    return (
        level < Level.INSTANCE and len(terms) == 1 and terms[0].metadata == _LAST_UPDATE and terms[0].cast == Cast.TEXT
    )


def counter_items(found: Sequence[tuple[bytes, bytes]], term: Order, wanted: int) -> list[Item]:
    """Return the items of rows of AGGREGATES, without those that cannot be among the first `wanted` (0: all).

    The text of a last update tells seconds.
    """
    times = [row[_LAST_UPDATE_AT] for _, row in found]
    low, high = bytes(8), b"\xff" * 9
    if 0 < wanted < len(times) and term.descends:
        low = _packed(_seconds(heapq.nlargest(wanted, times)[-1]))
    elif 0 < wanted < len(times):
        high = _packed(_seconds(heapq.nsmallest(wanted, times)[-1]) + 1)
    return [(U64.unpack(raw)[0], _seconds(at)) for (raw, _), at in zip(found, times, strict=True) if low <= at < high]


def _packed(seconds: int) -> bytes:
    return U64.pack(seconds * 1_000_000)


def _seconds(raw: bytes) -> int:
    return int.from_bytes(raw, "big") // 1_000_000


class Values:
    """The values of resources of a level."""

    def __init__(self, level: Level, terms: Sequence[Order]) -> None:
        self.level = level
        self.terms = terms
        self.needs_rows = any(term.tag for term in terms)
        self._known: dict[Ref, dict[int, str]] = {}  # tags of studies and series …
        self._snapshot: Snapshot | None = None  # … as they are on this one

    def item(self, s: Snapshot, ref: Ref, row: Row | None) -> Item | None:
        """Return a ref and its values; None for a resource that has been deleted."""
        if row is None and self.needs_rows:
            packed = s.row(rows.TABLE_OF_LEVEL[self.level], key(ref))
            if packed is None:
                return None
            row = rows.unpack(packed)
        return ref, *(self._value(s, ref, row, term) for term in self.terms)

    def _value(self, s: Snapshot, ref: Ref, row: Row | None, term: Order) -> Any:
        if term.metadata:
            kept = find_metadata(s, ref, self.level, term.metadata)
            return _cast(None if kept is None else kept.value.decode("utf-8", "replace"), term.cast)
        assert row is not None
        text = self._text(s, row, term.tag)
        if text is not None and term.tag in _NORMALIZED:
            normal = _normal_bytes(fold(text).encode())
            return normal if term.cast == Cast.TEXT else _cast(normal.decode(), term.cast)
        return _cast(text, term.cast)

    def _text(self, s: Snapshot, row: Row, tag: int) -> str | None:
        own: dict[int, str] = row[rows.TAGS_OF_LEVEL[self.level]]
        if self.level <= Level.STUDY:
            return own.get(tag, row[rows.STUDY_PATIENT_TAGS].get(tag) if self.level == Level.STUDY else None)
        if tag in _OF_PATIENT:
            patient = rows.ancestors_of(self.level, row)[-1]
            of_patient: dict[int, str] = rows.unpack(s.row(rows.TABLE_OF_LEVEL[Level.PATIENT], key(patient)) or b"")[
                rows.PATIENT_TAGS
            ]
            return of_patient.get(tag)
        if tag in ONLY_OWN[self.level] and len(s.main_tags) == 1:
            return own.get(tag)
        if self._snapshot is not s or len(self._known) > _KNOWN:
            self._known.clear()
            self._snapshot = s
        return main_tags_of_row(s, self.level, row, self._known).get(tag)


def _normal_bytes(text: bytes) -> bytes:
    return (text if text.isascii() else bytes(each for each in text if each < 0x80)).strip().upper()


def _cast(text: str | None, cast: Cast) -> Any:
    if text is None or cast == Cast.TEXT:
        return text
    if cast == Cast.INTEGER:
        found = _INTEGER.match(text)
        return int(found[1]) if found else 0
    found = _REAL.match(text)
    return float(found[1]) if found else 0.0


def sort(batches: Iterable[list[Item]], terms: Sequence[Order], wanted: int) -> list[Item]:
    """Return the first `wanted` items in order, all of them for 0; not many more are kept meanwhile."""
    best: list[Item] = []
    for batch in batches:
        best += batch
        if wanted and len(best) > wanted + TRIMMED:
            best = _sorted(best, terms)[:wanted]
    return _sorted(best, terms)[: wanted or None]


def _sorted(items: list[Item], terms: Sequence[Order]) -> list[Item]:
    items.sort(key=itemgetter(0))
    for place, term in reversed(list(enumerate(terms, 1))):
        value = itemgetter(place)
        told = [item for item in items if value(item) is not None]
        untold = [item for item in items if value(item) is None]
        told.sort(key=value, reverse=term.descends)
        items = told + untold if place == len(terms) or term.descends else untold + told
    return items
