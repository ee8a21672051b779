"""Any query: what the index is asked for first, and how often a snapshot is left, changes nothing about the answers."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.identifiers import Level
from store.blobs.store import BlobStore
from store.dicom.dictionary import dictionary_vr
from store.dicom.matching import BadKey, Dataset, Matcher, parse_key
from store.views import find_plan, find_walk
from store.views.find import Finder
from store.views.query import Query
from store.views.snapshot import Snapshot
from tests.examples import examples
from tests.find_archive import LONG, TEXTS, keys_for, matches, near_misses, tags_of
from tests.index_stage import IndexStage, delete_command


@pytest.fixture(scope="module")
def archive() -> Iterator[IndexStage]:
    with near_misses() as stage:
        yield stage


queries = st.dictionaries(st.sampled_from(sorted(TEXTS)), st.none(), min_size=1, max_size=3).flatmap(
    lambda tags: st.fixed_dictionaries({tag: keys_for(tag) for tag in tags})
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
    with patch.object(find_walk, "BATCH_ANSWERS", batch), patch.object(find_plan, "COUNT_LIMIT", 5):
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
        tags = tags_of(s, record)
        if all(matches(key, tag, tags) for tag, key in keys.items()):
            yield {tag: tags[tag] for tag in UNIQUE[level] if tag in tags}


def test_what_changes_between_two_snapshots_does_no_harm(archive: IndexStage) -> None:
    """Half of the answers are taken, then everything behind and before them is deleted."""
    finder = Finder(archive.views, BlobStore(Path("/nowhere")))
    key = parse_key("LO", "L*")
    assert key is not None
    query = Query(level=Level.INSTANCE, keys={0x00100020: key}, wanted=(0x00080018,), reads_files=False)
    with patch.object(find_walk, "BATCH_ANSWERS", 1):
        batches = finder.find(query)
        taken = [answer for each in islice(batches, 2) for answer in each]
        archive.ask(delete_command(LONG))
        archive.purge_all()
        taken += [answer for each in batches for answer in each]
    assert len(taken) == 2
