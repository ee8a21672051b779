"""Any request of `/tools/find`: how it is answered changes nothing about what is selected, its order and its pages.

Orders are compared with those of SQLite, which Orthanc leaves them to.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages.commands.labels import AddLabel
from actors.messages.commands.metadata import SetMetadata
from events.identifiers import Level, ResourceId
from store.blobs.store import BlobStore
from store.dicom.dictionary import dictionary_vr
from store.dicom.matching import BadKey, Matcher, Wildcard, fold, parse_text_key
from store.records import Instance, Resource
from store.views import find_depth, find_index, find_members, find_plan, ordered_matches, selection
from store.views.labels import labels_of
from store.views.metadata import list_metadata
from store.views.query import Cast, LabelKey, Order, Query
from store.views.selection import Selector
from store.views.snapshot import Snapshot, level_of
from tests.examples import examples
from tests.find_archive import TEXTS, keys_for, matches, near_misses, tags_of
from tests.index_stage import IndexStage

NUMBER = 1024  # of a metadata
VALUES = ["a", "A", "10", "9.5", " 2", ""]
LABELS = ["x", "y", "z"]
OF_PATIENT = (0x00100010, 0x00100020, 0x00100030)
NORMALIZED = {*OF_PATIENT, 0x00080020, 0x00080050, 0x00081030, 0x0020000D, 0x0020000E, 0x00080018}
ORDERED = {
    Level.PATIENT: OF_PATIENT,
    Level.STUDY: (*OF_PATIENT, 0x00080020, 0x00080050, 0x00081030, 0x00080090),
    Level.SERIES: (*OF_PATIENT, 0x00080020, 0x00081030, 0x00080060, 0x00200011),
    Level.INSTANCE: (0x00100010, 0x00080060, 0x00200011, 0x00080018),
}
CASTS = {Cast.TEXT: "{}", Cast.INTEGER: "CAST({} AS INTEGER)", Cast.REAL: "CAST({} AS REAL)"}


@pytest.fixture(scope="module", params=["deletions are half done", "deletions are done"])
def archive(request: pytest.FixtureRequest) -> Iterator[IndexStage]:
    with near_misses() as stage:
        while request.param == "deletions are done" and stage.purges:
            stage.ask(stage.purges.pop())
        with stage.views.snapshot() as s:
            found = [(level, record.id) for level in Level for record in s.list(level)]
        for number, (level, each) in enumerate(found):
            for label in LABELS[: number % 3]:
                stage.ask(_label(level, each, label))
            if number % 4:
                stage.ask(_metadata(each, VALUES[number % len(VALUES)].encode()))
        yield stage


def _label(level: Level, resource: ResourceId, label: str) -> AddLabel:
    return AddLabel(level=level, id=resource, label=label, remote_ip="", username="", correlation=b"")


def _metadata(resource: ResourceId, value: bytes) -> SetMetadata:
    return SetMetadata(id=resource, number=NUMBER, value=value, correlation=b"")


queries = st.dictionaries(st.sampled_from(sorted(TEXTS)), st.none(), max_size=2).flatmap(
    lambda tags: st.fixed_dictionaries({tag: keys_for(tag) for tag in tags})
)
labelled = st.one_of(
    st.none(),
    st.builds(LabelKey, st.frozensets(st.sampled_from(LABELS), max_size=2), st.sampled_from(["All", "Any", "None"])),
)
metadata_keys = st.dictionaries(
    st.just(NUMBER), st.builds(Wildcard, st.sampled_from(["a", "*", "?", "1*"]), folds=st.booleans()), max_size=1
)
# Small enough that every way is gone: few matches and many, with and without a set of members.
limits = st.fixed_dictionaries(
    {
        (find_plan, "COUNT_LIMIT"): st.sampled_from([1, 5, 2000]),
        (selection, "COLLECTED"): st.sampled_from([1, 4, 10_000]),
        (selection, "MEMBERS"): st.sampled_from([2, 10, 250_000]),
        (selection, "PIECE_IDS"): st.sampled_from([1, 3, 5_000]),
        (ordered_matches, "MEMBERS"): st.sampled_from([2, 10, 250_000]),
        (ordered_matches, "PIECE_IDS"): st.sampled_from([1, 3, 5_000]),
        (ordered_matches, "BATCH_ROWS"): st.sampled_from([1, 3, 5_000]),
        (find_index, "BATCH_KEYS"): st.sampled_from([1, 3, 50_000]),
        (find_index, "BATCH_SIEVED"): st.sampled_from([2, 20_000]),
        (find_depth, "DEEP"): st.sampled_from([0, 1, 10_000]),
        (find_depth, "MARKED"): st.sampled_from([1, 2, 10_000]),
        (find_members, "BATCH_ROWS"): st.sampled_from([1, 3, 5_000]),
    }
)


@st.composite
def orders(draw: st.DrawFn, level: Level) -> tuple[Order, ...]:
    term = st.builds(
        lambda tag, cast, descends: Order(tag=tag, metadata=0 if tag else NUMBER, cast=cast, descends=descends),
        st.sampled_from((*ORDERED[level], 0)),
        st.sampled_from(Cast),
        st.booleans(),
    )
    return tuple(draw(st.lists(term, max_size=2)))


@settings(max_examples=examples(100), deadline=None)
@given(data=st.data(), level=st.sampled_from(Level), asked=queries, patched=limits)
def test_a_selection_equals_brute_force(
    archive: IndexStage,
    data: st.DataObject,
    level: Level,
    asked: dict[int, str],
    patched: Mapping[tuple[object, str], int],
) -> None:
    folds = data.draw(st.booleans(), "folds")
    query = Query(
        level=level,
        keys=_keys(asked, folds=folds),
        labels=data.draw(labelled, "labels"),
        metadata=data.draw(metadata_keys, "metadata"),
        parents=data.draw(_parents(archive, level), "parents"),
        limit=data.draw(st.sampled_from([0, 0, 1, 3, 20]), "limit"),
        reads_files=False,
    )
    order = data.draw(orders(level), "order")
    since = data.draw(st.sampled_from([0, 0, 1, 4]), "since")
    with archive.views.snapshot() as s:
        expected = [record.id for record in _in_order(s, _brute_force(s, query), order)]
    with ExitStack() as stack:
        for (module, name), value in patched.items():
            stack.enter_context(patch.object(module, name, value))
        selector = Selector(archive.views, BlobStore(Path("/nowhere")))
        pieces = list(selector.select(query, order, since))
        counted = selector.count(query)
    assert counted == len(expected)
    assert [each for piece in pieces for each in piece] == expected[since:][: query.limit or None]


def test_an_empty_member_of_a_list_finds_studies_where_the_tag_is_empty_and_their_patient_has_none(
    archive: IndexStage,
) -> None:
    query = Query(level=Level.STUDY, keys=_keys({0x00100020: "P1\\"}, folds=False), reads_files=False)
    with archive.views.snapshot() as s:
        expected = sorted(record.id for record in _brute_force(s, query))
    selector = Selector(archive.views, BlobStore(Path("/nowhere")))
    assert [each for piece in selector.select(query) for each in piece] == expected
    assert selector.count(query) == len(expected)


def _keys(asked: Mapping[int, str], *, folds: bool) -> dict[int, Matcher]:
    keys: dict[int, Matcher] = {}
    for tag, text in asked.items():
        try:
            key = parse_text_key(dictionary_vr(tag), text, folds=folds, in_parts=False)
        except BadKey:
            continue
        if key is not None:
            keys[tag] = key
    return keys


def _parents(archive: IndexStage, level: Level) -> st.SearchStrategy[Mapping[Level, ResourceId]]:
    with archive.views.snapshot() as s:
        above = [(each, record.id) for each in Level if each <= level for record in s.list(each)]
    nobody = (Level.PATIENT, ResourceId(bytes(20)))
    pairs = st.lists(st.sampled_from([*above, nobody]), min_size=1, max_size=2).map(dict)
    return st.one_of(st.just({}), st.just({}), pairs)


def _brute_force(s: Snapshot, query: Query) -> list[Resource | Instance]:
    return [record for record in s.list(query.level) if _is_match(s, record, query)]


def _is_match(s: Snapshot, record: Resource | Instance, query: Query) -> bool:
    tags, labels = tags_of(s, record), labels_of(s, record.ref)
    line = {level_of(each): each.id for each in _line(s, record)}
    return (
        all(matches(key, tag, tags) for tag, key in query.keys.items())
        and (query.labels is None or query.labels.matches(labels.__contains__, has_some=lambda: bool(labels)))
        and all(key.matches(_metadata_of(s, record)) for key in query.metadata.values())
        and all(line[level] == parent for level, parent in query.parents.items())
    )


def _line(s: Snapshot, record: Resource | Instance) -> list[Resource | Instance]:
    return [record] if record.parent is None else [record, *_line(s, s.parent(record))]


def _metadata_of(s: Snapshot, record: Resource | Instance) -> str | None:
    value = list_metadata(s, record).get(NUMBER)
    return None if value is None else value.decode()


def _in_order(s: Snapshot, records: list[Resource | Instance], order: tuple[Order, ...]) -> list[Resource | Instance]:
    if not order:
        return sorted(records, key=lambda record: record.id)
    database = sqlite3.connect(":memory:")
    columns = ", ".join(f"v{place}" for place in range(len(order)))
    database.execute(f"CREATE TABLE found (ref, {columns})")
    by_ref = {record.ref: record for record in records}
    for record in records:
        row = (record.ref, *(_value(s, record, term) for term in order))
        database.execute(f"INSERT INTO found VALUES ({', '.join('?' * len(row))})", row)
    terms = [
        CASTS[term.cast].format(f"v{place}") + (" DESC" if term.descends else " ASC")
        for place, term in enumerate(order)
    ]
    found = database.execute(f"SELECT ref FROM found ORDER BY {', '.join(terms)} NULLS LAST, ref")
    return [by_ref[ref] for (ref,) in found]


def _value(s: Snapshot, record: Resource | Instance, term: Order) -> str | None:
    if term.metadata:
        return _metadata_of(s, record)
    if term.tag in OF_PATIENT and level_of(record) > Level.STUDY:
        record = _line(s, record)[-1]
    text = tags_of(s, record).get(term.tag)
    if text is None or term.tag not in NORMALIZED:
        return text
    return "".join(each for each in fold(text) if ord(each) < 128).strip()
