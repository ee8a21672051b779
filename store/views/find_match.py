"""Whether a resource matches a query: which tags the index has, which are computed, which lie in files, and what else is asked.

A resource's own row is read first; what lies above it only where a key asks for that.
"""

from dataclasses import dataclass
from typing import Any, Final

from events.identifiers import Level, Ref, ResourceId
from events.metadata import USER_NUMBERS
from store.dicom.identifier import parse_items
from store.dicom.indexed_tags import MAIN_DICOM_TAGS, is_sequence, sequence_json
from store.dicom.matching import Dataset, Matcher, Value
from store.dicom.tags import (
    MODALITIES_IN_STUDY,
    REQUEST_ATTRIBUTES_SEQUENCE,
    RETRIEVE_AE_TITLE,
    SOP_CLASS_UID,
    SOP_CLASSES_IN_STUDY,
)
from store.dicom.value_matching import AllOf
from store.projections import rows
from store.records import Instance, Resource
from store.tables import LABELS, METADATA, key, metadata_key
from store.views.labels import has_label
from store.views.metadata import find_metadata
from store.views.query import Query
from store.views.resource_tags import (
    ALWAYS,
    COMPUTED,
    OF_STUDY,
    compute,
    kept_of_row,
    main_tags_of_row,
    oldest_instance,
)
from store.views.snapshot import Snapshot
from store.views.tag_warnings import TagWarnings

_COMPUTED: Final = COMPUTED | {RETRIEVE_AE_TITLE}
_LISTS: Final = frozenset({MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY})  # any of their values may match

# Tags that only a level itself tells: its own row is enough.
ONLY_OWN: Final = {
    level: frozenset(MAIN_DICOM_TAGS[level])
    - (ALWAYS[Level(level - 1)] if level > Level.PATIENT else frozenset())
    - {REQUEST_ATTRIBUTES_SEQUENCE}
    for level in Level
}

Row = list[Any]  # of `store.projections.rows`
Key = tuple[int, Matcher]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the index tells of some resources, and what their files."""

    own_keys: tuple[Key, ...]  # of tags that the resource's own row tells alone
    index_keys: tuple[Key, ...]  # of the others that the index tells
    file_keys: tuple[Key, ...]
    from_file: tuple[int, ...]  # by StorageAccessOnFind perhaps not


@dataclass(slots=True)
class Candidate:
    """A resource that matches as far as the index tells."""

    id: ResourceId
    values: Dataset
    instance: Instance | None  # to read the rest from its file
    parts: Parts


class Search:
    """A query taken apart: which tags the index has, which are computed, which lie in files."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._level = query.level
        tags = {*query.keys, *query.wanted}
        self._told = tags - _COMPUTED
        self.computed_keys = {t: m for t, m in query.keys.items() if t in _COMPUTED}
        self._computed = sorted(_COMPUTED & tags)
        self.warnings = TagWarnings(query.warnings, query.level)
        self.of_clients = [number for number in query.metadata if number in USER_NUMBERS]
        self._asks_class = query.level == Level.INSTANCE and SOP_CLASS_UID in tags
        self.may_read_files = query.reads_files and bool(self._told - ALWAYS[query.level])
        self._parts: dict[tuple[frozenset[int], bool], Parts] = {}  # by what the index keeps
        self._above: dict[Ref, dict[int, str]] = {}  # tags of studies and series met on this snapshot
        self._kept: dict[Ref, frozenset[int]] = {}  # likewise, which of them the index keeps
        self._of_studies: dict[tuple[Ref, int], str | None] = {}  # likewise, what is computed of studies

    def is_impossible(self, s: Snapshot) -> bool:
        """Tell whether a key could be told by files alone, which are not read; the log names such keys."""
        if self.query.reads_files:
            return False
        kept = {tag for _, tags in s.main_tags for level in Level if level <= self._level for tag in tags[level]}
        if self._asks_class:
            kept.add(SOP_CLASS_UID)
        missing = self.query.keys.keys() - kept - _COMPUTED
        if missing:
            self.warnings.tell_of_missing_keys(missing)
        return bool(missing)

    def warn(self, s: Snapshot) -> None:
        """Name in the log the tags that belong to lower levels."""
        self.warnings.tell_of_lower_levels(self._told, s.main_tags[0].tags)

    def take_apart(self, kept: frozenset[int], *, has_class: bool = True) -> Parts:
        """Return what the index tells of resources of which it keeps these tags, and their SOP class if they have one."""
        tells_class = self._asks_class and has_class
        parts = self._parts.get((kept, tells_class))
        if parts is None:
            keys = [(tag, matcher) for tag, matcher in self.query.keys.items() if tag in self._told]
            own = ONLY_OWN[self._level] if kept is ALWAYS[self._level] else frozenset()
            known = kept | {SOP_CLASS_UID} if tells_class else kept
            parts = self._parts[kept, tells_class] = Parts(
                own_keys=tuple(each for each in keys if each[0] in own),
                index_keys=tuple(each for each in keys if each[0] in known - own),
                file_keys=tuple(each for each in keys if each[0] not in known),
                from_file=tuple(sorted(self._told - known)),
            )
        return parts

    @property
    def is_bare(self) -> bool:
        """Whether every resource of the level matches."""
        query = self.query
        return not (query.keys or query.metadata or query.parents or query.labels)

    def is_decided_by(self, tag: int | str) -> bool:
        """Whether a key of one tag is all that is asked."""
        query = self.query
        return not (query.keys.keys() - {tag} or query.metadata or query.parents or query.labels)

    def begin(self) -> None:
        """Forget what is known of another snapshot."""
        self._above.clear()
        self._kept.clear()
        self._of_studies.clear()

    def match(self, s: Snapshot, ref: Ref) -> Row | None:
        """Return the row of a resource that matches as far as the index tells; None if it does not, or is not there."""
        for number in self.of_clients:  # before the row is decoded: a fifth of the time
            if s.row(METADATA, metadata_key(ref, number)) is None:
                return None
        packed = s.row(rows.TABLE_OF_LEVEL[self._level], key(ref))
        if packed is None:
            return None
        row = rows.unpack(packed)
        if s.hides_something and s.find(row[rows.ID]) != (self._level, ref):
            return None  # below something deleted, or an earlier life
        try:
            parts = self._parts_of(s, ref, row)
            if parts.file_keys and not self.query.reads_files:
                return None
            own = row[rows.TAGS_OF_LEVEL[self._level]]
            for tag, matcher in parts.own_keys:
                if not matcher.matches(own.get(tag)):
                    return None
            return row if self._matches_beyond(s, ref, row, parts) else None
        except KeyError:
            return None

    def _parts_of(self, s: Snapshot, ref: Ref, row: Row) -> Parts:
        parent = None if self._level == Level.PATIENT else Ref(row[rows.PARENT])
        kept = kept_of_row(s, self._level, ref, parent, self._kept)
        return self.take_apart(kept, has_class=self._asks_class and bool(row[rows.INSTANCE_SOP_CLASS]))

    def _matches_beyond(self, s: Snapshot, ref: Ref, row: Row, parts: Parts) -> bool:
        """Whether all else than the tags of its own level matches."""
        query = self.query
        if parts.index_keys:
            values = self._values(s, row)
            if not all(matcher.matches(values.get(tag)) for tag, matcher in parts.index_keys):
                return False
        if query.labels and not query.labels.matches(
            lambda label: has_label(s, ref, label), has_some=lambda: any(s.keys(LABELS, key(ref)))
        ):
            return False
        if query.parents and not self._is_below(s, ref, row):
            return False
        for number, matcher in query.metadata.items():
            kept = find_metadata(s, ref, self._level, number)
            if kept is None or not matcher.matches(kept.value.decode("utf-8", "replace")):
                return False
        if not self.computed_keys:
            return True
        record = s.get_ref(self._level, ref)
        return all(
            _matches_computed(tag, matcher, self._compute(s, record, tag))
            for tag, matcher in self.computed_keys.items()
        )

    def describe(self, s: Snapshot, ref: Ref, row: Row) -> Candidate:
        """Return the wanted tags of a resource that matches, and where the rest is to be read."""
        parts = self._parts_of(s, ref, row)
        values: Dataset = {}
        if self.query.wanted:
            values = self._values(s, row)
            if self._computed:
                values |= self._computed_values(s, s.get_ref(self._level, ref))
        reads_file = parts.from_file and self.query.reads_files
        oldest = oldest_instance(s, s.get_ref(self._level, ref)) if reads_file else None
        return Candidate(ResourceId(row[rows.ID]), values, oldest, parts)

    def _values(self, s: Snapshot, row: Row) -> Dataset:
        """Return main tags, with sequences as their items. Raises KeyError if what lies above is gone."""
        known = main_tags_of_row(s, self._level, row, self._above)
        values: Dataset = dict(known)
        if self._asks_class and row[rows.INSTANCE_SOP_CLASS]:
            values[SOP_CLASS_UID] = row[rows.INSTANCE_SOP_CLASS]
        for tag in self._told & known.keys():
            if is_sequence(tag, known[tag]):
                values[tag] = parse_items(sequence_json(known[tag]))
        return values

    def _computed_values(self, s: Snapshot, record: Resource | Instance) -> Dataset:
        computed = {tag: self._compute(s, record, tag) for tag in self._computed}
        return {tag: text for tag, text in computed.items() if text is not None}

    def _compute(self, s: Snapshot, record: Resource | Instance, tag: int) -> str | None:
        if tag == RETRIEVE_AE_TITLE:
            return self.query.retrieve_aet
        if not (self.query.is_relational and tag in OF_STUDY and self._level > Level.STUDY):
            return compute(s, record, tag)
        study = s.ancestor(record, Level.STUDY)
        key = study.ref, tag
        if key not in self._of_studies:
            self._of_studies[key] = compute(s, study, tag)
        return self._of_studies[key]

    def _is_below(self, s: Snapshot, ref: Ref, row: Row) -> bool:
        chain = {self._level: ref} | {
            Level(self._level - distance): above
            for distance, above in enumerate(rows.ancestors_of(self._level, row), 1)
        }
        return all(s.find(parent) == (level, chain.get(level)) for level, parent in self.query.parents.items())


def _matches_computed(tag: int, matcher: Matcher, value: Value) -> bool:
    if tag in _LISTS and isinstance(value, str):
        return any(matcher.matches(part) for part in value.split("\\")) or (
            isinstance(matcher, AllOf) and matcher.matches(value)
        )
    return matcher.matches(value)
