"""Queries of the hierarchy by DICOM tags, as C-FIND asks them: matched on short snapshots, answered in batches.

A batch is one snapshot of at most `BATCH_S`; between two batches nothing is held but a position, so a query over a large
archive neither keeps old pages of the index alive nor grows in memory. Tags that the index does not have are read from the
file of the resource's oldest instance, outside the snapshot.
"""

import logging
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Final

from events.errors import DamagedFile, InvalidDicom, StorageFailed, StorageFull
from events.identifiers import Level, Ref, ResourceId, format_blob_id
from store.blobs.store import BlobStore
from store.blobs.writer import is_kept
from store.dicom.identifier import parse_items, pick
from store.dicom.indexed_tags import is_sequence, sequence_json
from store.dicom.matching import Dataset, Matcher, Value
from store.dicom.tags import MODALITIES_IN_STUDY, RETRIEVE_AE_TITLE, SOP_CLASS_UID, SOP_CLASSES_IN_STUDY
from store.instance_heads import read_head
from store.records import Instance
from store.tables import CHILDREN, U64, child_key, key
from store.views.current import read_current
from store.views.find_plan import Source, choose_source, keys_of
from store.views.resource_tags import (
    COMPUTED,
    compute,
    kept_above,
    main_tags,
    oldest_instance,
)
from store.views.snapshot import Snapshot
from store.views.tag_warnings import TagWarnings
from store.views.views import Views

logger = logging.getLogger(__name__)

BATCH_S: Final = 0.1  # a snapshot is kept no longer; then the caller can check whether its peer has cancelled
BATCH_ANSWERS: Final = 200  # likewise, so that the first answers leave early and few are in memory

_COMPUTED: Final = COMPUTED | {RETRIEVE_AE_TITLE}
_OF_STUDY: Final = frozenset({MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY})  # any of their values may match

Path = tuple[Ref, ...]  # refs below a candidate of the index, down to the level that is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked: resources of a level that match all keys, and which tags to tell of them."""

    level: Level
    keys: Mapping[int, Matcher]
    wanted: tuple[int, ...]
    retrieve_aet: str = ""
    reads_files: bool = True  # StorageAccessOnFind: False where the index alone answers
    warnings: frozenset[str] = frozenset()  # those that are logged
    default_encoding: str = "Latin1"  # of files that declare none
    limit: int = 0  # answers; 0: all


@dataclass(slots=True)
class _Position:
    """How far a query has come; enough to go on in another snapshot."""

    span: int = 0  # of the source, which is being read
    last: bytes | None = None  # key of the index that was read last
    root: Ref | None = None  # the resource of that key, while what is below it is being gone through …
    path: Path = ()  # … as far as this
    is_done: bool = False
    answered: int = 0


@dataclass(slots=True)
class _Candidate:
    """A resource that matches as far as the index tells."""

    id: ResourceId
    values: Dataset
    instance: Instance | None  # to read the rest from
    rest: "_Parts"


class Finder:
    """Answers queries; thread-safe."""

    def __init__(self, views: Views, blobs: BlobStore) -> None:
        self._views = views
        self._blobs = blobs

    def find(self, query: Query) -> Iterator[list[Dataset]]:
        """Iterate over batches of answers: of each resource the wanted tags it has. Batches may be empty.

        The work is done while the next batch is waited for; nothing is open when it is given.
        """
        search = _Search(query)
        with self._views.snapshot() as s:
            search.warn(s)
            if search.is_impossible(s):
                return
            source = choose_source(s, query.level, search.plan_keys)
        position = _Position()
        while not position.is_done:
            with self._views.snapshot() as s:
                candidates = list(search.candidates(s, source, position))
            answers = [answer for each in candidates if (answer := self._finish(search, each)) is not None]
            if query.limit:
                answers = answers[: query.limit - position.answered]
                position.answered += len(answers)
                position.is_done = position.is_done or position.answered >= query.limit
            yield answers

    def _finish(self, search: "_Search", candidate: _Candidate) -> Dataset | None:
        """Read what the index does not have; None if the file then says that there is no match, or is gone."""
        values = candidate.values
        if candidate.rest.from_file:
            search.warnings.tell_of_reading(
                candidate.id, candidate.rest.from_file, reads_files=search.query.reads_files
            )
        if candidate.instance is not None:
            read = self._read(candidate.instance, candidate.rest.from_file, search.query.default_encoding)
            if read is None:
                return None
            if not all(matcher.matches(read.get(tag)) for tag, matcher in candidate.rest.file_keys):
                return None
            values = values | read
        return {tag: values[tag] for tag in search.query.wanted if tag in values}

    def _read(self, instance: Instance, tags: tuple[int, ...], default_encoding: str) -> Dataset | None:
        try:
            data = read_current(self._views, instance, partial(read_head, self._blobs))
            with nullcontext(data) if isinstance(data, bytes) else data:
                return pick(data, tags, default_encoding)
        except FileNotFoundError:
            return None if is_kept(instance.blob) else {}  # deleted since, or never kept
        except (InvalidDicom, ValueError):
            return {}
        except (DamagedFile, StorageFailed, StorageFull) as exc:  # one file is no reason to find nothing
            logger.error("find.file-unreadable blob=%s error=%s", format_blob_id(instance.blob), exc)
            return {}


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the index tells of some resources, and what their files."""

    index_keys: tuple[tuple[int, Matcher], ...]
    file_keys: tuple[tuple[int, Matcher], ...]
    from_file: tuple[int, ...]  # by StorageAccessOnFind perhaps not


class _Search:
    """A query taken apart: which tags the index has, which are computed, which lie in files."""

    def __init__(self, query: Query) -> None:
        self.query = query
        tags = {*query.keys, *query.wanted}
        self.plan_keys = query.keys
        self.warnings = TagWarnings(query.warnings, query.level)
        self._told = tags - _COMPUTED
        self._computed_keys = [(t, m) for t, m in query.keys.items() if t in _COMPUTED]
        self._computed = sorted(_COMPUTED & tags)
        self._parts: dict[frozenset[int], _Parts] = {}  # by the tags that the index keeps
        self._above: dict[Ref, dict[int, str]] = {}  # tags of studies and series met in this batch
        self._kept: dict[Ref, frozenset[int]] = {}  # likewise, which of them the index keeps

    def warn(self, s: Snapshot) -> None:
        self.warnings.tell_of_lower_levels(self._told, s.main_tags[0].tags)

    def is_impossible(self, s: Snapshot) -> bool:
        """Tell whether a key could be told by files alone, which are not read; the log names such keys."""
        if self.query.reads_files:
            return False
        kept = {tag for _, tags in s.main_tags for level in Level if level <= self.query.level for tag in tags[level]}
        if self.query.level == Level.INSTANCE:
            kept.add(SOP_CLASS_UID)
        missing = self.query.keys.keys() - kept - _COMPUTED
        if missing:
            self.warnings.tell_of_missing_keys(missing)
        return bool(missing)

    def _take_apart(self, kept: frozenset[int]) -> _Parts:
        parts = self._parts.get(kept)
        if parts is None:
            keys = [(tag, matcher) for tag, matcher in self.query.keys.items() if tag in self._told]
            parts = self._parts[kept] = _Parts(
                index_keys=tuple(key for key in keys if key[0] in kept),
                file_keys=tuple(key for key in keys if key[0] not in kept),
                from_file=tuple(sorted(self._told - kept)),
            )
        return parts

    def candidates(self, s: Snapshot, source: Source, position: _Position) -> Iterator[_Candidate]:
        """Iterate over candidates from `position` on, which moves along, until the batch is full or its time is over."""
        deadline = time.monotonic() + BATCH_S
        self._above.clear()
        self._kept.clear()
        found = 0
        with closing(self._refs(s, source, position)) as refs:
            for ref in refs:
                candidate = None if ref is None else self._match(s, ref)
                if candidate is not None:
                    found += 1
                    yield candidate
                if found == BATCH_ANSWERS or time.monotonic() > deadline:
                    return
        position.is_done = True

    # -- candidates -----------------------------------------------------------------------------------------------

    def _refs(self, s: Snapshot, source: Source, position: _Position) -> Generator[Ref | None, None, None]:
        """Iterate over the refs that the source gives; None for keys that are passed over, some of them."""
        if not source.spans:
            for ref in s.list_refs(source.level, after=Ref(U64.unpack(position.last)[0]) if position.last else None):
                position.last = key(ref)
                yield ref
            return
        yield from self._below(s, source, position)
        while position.span < len(source.spans):
            for row_key in keys_of(s, source.spans[position.span], position.last, source.needle):
                position.last = row_key
                if source.accepts(s, row_key):
                    position.root = source.ref_of(row_key)
                    yield from self._below(s, source, position)
                else:
                    yield None
            position.span += 1
            position.last = None

    def _below(self, s: Snapshot, source: Source, position: _Position) -> Iterator[Ref]:
        """Iterate over what is wanted below the position's root (or that itself), behind its path."""
        root = position.root
        if root is None:
            return
        if source.level == self.query.level:
            position.root = None
            yield root
            return
        for path in _paths(s, source.level, root, self.query.level, position.path):
            position.path = path
            yield path[-1]
        position.root, position.path = None, ()

    # -- matching -------------------------------------------------------------------------------------------------

    def _match(self, s: Snapshot, ref: Ref) -> _Candidate | None:
        try:
            record = s.get_ref(self.query.level, ref)
            if s.find(record.id) != (self.query.level, ref):
                return None  # below something deleted, or an earlier life
            known = main_tags(s, record, self._above)
            kept = kept_above(s, record, self._kept)
        except KeyError:
            return None
        if SOP_CLASS_UID in self._told and isinstance(record, Instance) and record.sop_class:
            known[SOP_CLASS_UID] = record.sop_class
            kept |= {SOP_CLASS_UID}
        parts = self._take_apart(kept)
        if parts.file_keys and not self.query.reads_files:
            return None
        values: Dataset = dict(known)
        for tag in self._told & known.keys():
            if is_sequence(tag, known[tag]):
                values[tag] = parse_items(sequence_json(known[tag]))
        if not all(matcher.matches(values.get(tag)) for tag, matcher in parts.index_keys):
            return None
        for tag in self._computed:
            text = self.query.retrieve_aet if tag == RETRIEVE_AE_TITLE else compute(s, record, tag)
            if text is not None:
                values[tag] = text
        if not all(_matches_computed(tag, matcher, values.get(tag)) for tag, matcher in self._computed_keys):
            return None
        oldest = oldest_instance(s, record) if parts.from_file and self.query.reads_files else None
        return _Candidate(record.id, values, oldest, parts)


def _matches_computed(tag: int, matcher: Matcher, value: Value) -> bool:
    if tag in _OF_STUDY and isinstance(value, str):
        return any(matcher.matches(part) for part in value.split("\\"))
    return matcher.matches(value)


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
