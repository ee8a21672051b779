"""Any query: what the index is asked for first, and how often a snapshot is left, changes nothing about the answers.

The archive is small and full of near misses: equal texts in other cases, absent and empty values, values too long for a
key, resources whose deletion is half done, a study that came back.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.index.decisions import resources as decide
from events.identifiers import Level
from store.blobs.store import BlobStore
from store.blobs.writer import make_blob_id
from store.dicom.dictionary import dictionary_vr
from store.dicom.matching import BadKey, Dataset, Matcher, parse_key
from store.environment import Environment
from store.records import Instance, Resource
from store.views import find, find_plan
from store.views.find import Finder, Query
from store.views.snapshot import Snapshot
from tests.clock import Clock
from tests.examples import examples
from tests.index_stage import IndexStage, delete_command, store_command

MODALITIES_IN_STUDY = 0x00080061
SERIES_COUNT = 0x00201206
LONG = "L" * 300
TEXTS = {
    0x00100020: ["P1", "p1", "P10", " P1", "Ä", LONG, "P2*", ""],
    0x00100010: ["Doe^Jane", "DOE^JANE", "Doe^Jo", "", "Straße^A", "Äneas", LONG, LONG + "x"],
    0x00100030: ["19700101", "19700102", ""],
    0x00080020: ["20240101", "20240102", "20240103", "", "abc"],
    0x00080050: ["A1", "a1", "A12"],
    0x00081030: ["Head", "head", "Headache", LONG],
    0x00080090: ["Ref^A", "ref^a"],
    0x0020000D: ["1.2", "1.2.3", "1.3"],
    0x0020000E: ["1.2.1", "1.2.2"],
    0x00080060: ["CT", "MR", "mr", ""],
    0x00200011: ["1", "2"],
    0x00080018: ["1.2.1.1"],
    MODALITIES_IN_STUDY: ["CT", "MR", "US"],
    SERIES_COUNT: ["1", "2"],
}
PATIENT_TAGS, STUDY_TAGS = (0x00100010, 0x00100030), (0x00080020, 0x00080050, 0x00081030, 0x00080090)


def _archive(stage: IndexStage) -> None:
    """Fill an archive, the same each time."""
    place = 0
    for number, patient in enumerate(TEXTS[0x00100020]):
        for study in range(number % 3 + 1):
            for series in range(study % 2 + 1 + number % 2):
                for _ in range(2):
                    names = (patient, f"1.{number}.{study}", f"1.{number}.{study}.{series}", f"I{place}")
                    made = store_command(*names, blob=make_blob_id(1, place))
                    tags: dict[int, dict[int, str]] = {}
                    # A file without PatientID belongs to the same patient as one where it is empty.
                    tags[1] = ({0x00100020: patient} if patient or study else {}) | _some(PATIENT_TAGS, number + study)
                    tags[2] = {0x0020000D: names[1]} | _some(STUDY_TAGS, number * 3 + study)
                    tags[3] = {0x0020000E: names[2], 0x00200011: str(series)} | _some((0x00080060,), number + series)
                    stage.ask(replace(made, tags_above=tags))
                    place += 1
    stage.ask(delete_command("P10"))  # its rows stay for a while
    stage.ask(delete_command(" P1", "1.3.0"))
    stage.ask(replace(store_command("P10", "1.2.0", "1.2.0.0", "back"), blob=make_blob_id(1, place)))


def _some(tags: tuple[int, ...], number: int) -> dict[int, str]:
    """Values of some tags, others absent."""
    return {tag: TEXTS[tag][(number + tag) % len(TEXTS[tag])] for tag in tags if (number + tag) % 7}


@pytest.fixture(scope="module")
def archive() -> Iterator[IndexStage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(patch.object(decide, "PURGE_STEP_INSTANCES", 1))
        env = stack.enter_context(Environment(folder, writable=True, durable=False))
        stage = IndexStage(env, Clock())
        stage.lease()
        _archive(stage)
        yield stage


def _keys_for(tag: int) -> st.SearchStrategy[str]:
    texts = st.sampled_from(TEXTS[tag])
    patterns = st.builds(
        lambda text, cut, tail: text[:cut] + tail, texts, st.integers(0, 9), st.sampled_from(["*", "?", "*a*", "?*"])
    )
    ranges = st.builds("{}-{}".format, texts, texts)
    lists = st.lists(texts, min_size=2, max_size=3).map("\\".join)
    return st.one_of(texts, texts.map(str.lower), patterns, ranges, lists)


queries = st.dictionaries(st.sampled_from(sorted(TEXTS)), st.none(), min_size=1, max_size=3).flatmap(
    lambda tags: st.fixed_dictionaries({tag: _keys_for(tag) for tag in tags})
)


@settings(max_examples=examples(120), deadline=None)
@given(
    level=st.sampled_from(Level), asked=queries, batch=st.sampled_from([1, 2, 200]), limit=st.sampled_from([0, 0, 3])
)
def test_a_planned_query_equals_brute_force(
    archive: IndexStage, level: Level, asked: dict[int, str], batch: int, limit: int
) -> None:
    keys: dict[int, Matcher] = {}
    for tag, text in asked.items():
        try:
            key = parse_key(dictionary_vr(tag), text)
        except BadKey:
            continue
        if key is not None:
            keys[tag] = key
    query = Query(level=level, keys=keys, wanted=UNIQUE[level], reads_files=False, limit=limit)
    with patch.object(find, "BATCH_ANSWERS", batch), patch.object(find_plan, "COUNT_LIMIT", 5):
        finder = Finder(archive.views, BlobStore(Path("/nowhere")))
        batches = list(finder.find(query))
    answers = [answer for each in batches for answer in each]
    assert all(len(each) <= batch for each in batches)
    with archive.views.snapshot() as s:
        expected = list(_brute_force(s, level, keys))
    if limit:
        assert len(answers) == min(limit, len(expected))
        assert all(answer in expected for answer in answers)
    else:
        assert sorted(answers, key=repr) == sorted(expected, key=repr)


UNIQUE = {
    Level.PATIENT: (0x00100020,),
    Level.STUDY: (0x00100020, 0x0020000D),
    Level.SERIES: (0x0020000D, 0x0020000E),
    Level.INSTANCE: (0x0020000E, 0x00080018),
}


def _brute_force(s: Snapshot, level: Level, keys: dict[int, Matcher]) -> Iterator[Dataset]:
    for record in s.list(level):
        tags = _tags(s, record)
        if all(_matches(key, tag, tags) for tag, key in keys.items()):
            yield {tag: tags[tag] for tag in UNIQUE[level] if tag in tags}


def _matches(key: Matcher, tag: int, tags: dict[int, str]) -> bool:
    if tag == MODALITIES_IN_STUDY and tag in tags:
        return any(key.matches(part) for part in tags[tag].split("\\"))
    return key.matches(tags.get(tag))


def _tags(s: Snapshot, record: Resource | Instance) -> dict[int, str]:
    """Everything that is known of a resource, without any cleverness."""
    if isinstance(record, Resource) and record.level == Level.PATIENT:
        return dict(record.tags)
    if isinstance(record, Resource) and record.level == Level.STUDY:
        series = [each.tags[0x00080060] for each in s.children(record) if 0x00080060 in each.tags]
        computed = {MODALITIES_IN_STUDY: "\\".join(sorted(set(series))), SERIES_COUNT: str(record.series_count)}
        return {**record.patient_tags, **record.tags, **computed}
    above = {
        tag: text for tag, text in _tags(s, s.parent(record)).items() if tag not in {MODALITIES_IN_STUDY, SERIES_COUNT}
    }
    return {**above, **record.tags}


def test_what_changes_between_two_snapshots_does_no_harm(archive: IndexStage) -> None:
    """Half of the answers are taken, then everything behind and before them is deleted."""
    finder = Finder(archive.views, BlobStore(Path("/nowhere")))
    key = parse_key("LO", "L*")
    assert key is not None
    query = Query(level=Level.INSTANCE, keys={0x00100020: key}, wanted=(0x00080018,), reads_files=False)
    with patch.object(find, "BATCH_ANSWERS", 1):
        batches = finder.find(query)
        taken = [answer for each in islice(batches, 2) for answer in each]
        archive.ask(delete_command(LONG))
        archive.purge_all()
        taken += [answer for each in batches for answer in each]
    assert len(taken) == 2
