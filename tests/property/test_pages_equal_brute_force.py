"""Pages of QIDO-RS: any query, at any level, gives what brute force gives, in the order in which it came, whatever the plan and the page."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.identifiers import Level
from store.blobs.store import BlobStore
from store.dicom.dictionary import dictionary_vr
from store.dicom.matching import BadKey, Matcher
from store.dicom.value_matching import AllOf, Rules, parse_web_key
from store.records import Instance, Resource
from store.views import find_page, find_plan
from store.views.find_page import Pages
from store.views.query import Query
from store.views.resource_tags import ALWAYS, COMPUTED
from store.views.snapshot import Snapshot
from tests.examples import examples
from tests.find_archive import LONG, MODALITIES_IN_STUDY, SERIES_COUNT, TEXTS, keys_for, near_misses, tags_of
from tests.index_stage import IndexStage, delete_command, store_command

LEVELS = (Level.STUDY, Level.SERIES, Level.INSTANCE)
UNIQUE = {Level.STUDY: 0x0020000D, Level.SERIES: 0x0020000E, Level.INSTANCE: 0x00080018}


@pytest.fixture(scope="module")
def archive() -> Iterator[IndexStage]:
    with near_misses() as stage:
        yield stage


queries = st.dictionaries(st.sampled_from(sorted(TEXTS)), st.none(), max_size=3).flatmap(
    lambda tags: st.fixed_dictionaries({tag: st.one_of(keys_for(tag), st.just('""')) for tag in tags})
)
rules = st.builds(
    Rules, folds=st.booleans(), is_fuzzy=st.booleans(), finds_empty=st.booleans(), is_multiple=st.booleans()
)


def _keys(asked: dict[int, str], rule: Rules) -> dict[int, Matcher]:
    keys = {}
    for tag, text in asked.items():
        try:
            key = parse_web_key(tag, dictionary_vr(tag), text, rule)
        except BadKey:
            continue
        if key is not None:
            keys[tag] = key
    return keys


@settings(max_examples=examples(120), deadline=None)
@given(
    level=st.sampled_from(LEVELS), asked=queries, rule=rules, size=st.sampled_from([0, 1, 3]), most=st.sampled_from([0, 5, 250_000]),
    few=st.sampled_from([0, 1, 1_000]),
)  # fmt: skip
def test_pages_equal_brute_force(
    archive: IndexStage, level: Level, asked: dict[int, str], rule: Rules, size: int, most: int, few: int
) -> None:
    keys = _keys(asked, rule)
    query = Query(level=level, keys=keys, wanted=(UNIQUE[level],), is_relational=True, reads_files=False, limit=size)
    with archive.views.snapshot() as s:
        expected = [_uid(s, record) for record in s.list(level) if _matches(s, record, keys)]
    if any(tag not in ALWAYS[level] | COMPUTED for tag in keys):
        expected = []  # files alone could tell that something is not there, and none is read
    # Small sets of members, short looks at rows: each way is taken.
    with (
        patch.object(find_page, "MEMBERS", most),
        patch.object(find_page, "SHORT", few),
        patch.object(find_plan, "COUNT_LIMIT", 5),
    ):
        pages = Pages(archive.views, BlobStore(Path("/nowhere")))
        met, offset = [], 0
        while True:
            page = pages.find(query, offset)
            answers = [str(answer[UNIQUE[level]]) for answer in page.answers]
            met += answers
            offset += len(answers)
            if not size or not answers:
                break
            assert page.is_cut == (len(expected) > offset)
            assert page.remaining in {None, len(expected) - offset}
    assert met == expected


def _uid(s: Snapshot, record: Resource | Instance) -> str:
    tag = UNIQUE[Level.INSTANCE if isinstance(record, Instance) else record.level]
    return tags_of(s, record)[tag]


def _matches(s: Snapshot, record: Resource | Instance, keys: dict[int, Matcher]) -> bool:
    tags: dict[int, str] = tags_of(s, record)
    of_study = (
        record if isinstance(record, Resource) and record.level == Level.STUDY else s.ancestor(record, Level.STUDY)
    )
    tags |= {tag: tags_of(s, of_study)[tag] for tag in (MODALITIES_IN_STUDY, SERIES_COUNT)}
    for tag, key in keys.items():
        values = [tags.get(tag)]
        if tag == MODALITIES_IN_STUDY:  # each by itself, all together only where all are asked for
            values = [*tags[tag].split("\\"), *([tags[tag]] if isinstance(key, AllOf) else [])]
        if not any(key.matches(value) for value in values):
            return False
    return True


def test_what_comes_and_goes_between_two_pages(archive: IndexStage) -> None:
    """What comes is met at the end, on its own page; what went is not met, and what is behind it moves forward."""
    with near_misses() as stage:
        pages = Pages(stage.views, BlobStore(Path("/nowhere")))
        query = Query(level=Level.INSTANCE, keys={}, wanted=(0x00080018,), reads_files=False)
        everything = [answer[0x00080018] for answer in pages.find(query).answers]
        first = [answer[0x00080018] for answer in pages.find(replace(query, limit=5)).answers]
        stage.ask(store_command("New", "9.9", "9.9.1", "9.9.1.1"))
        rest = [answer[0x00080018] for answer in pages.find(query, 5).answers]
        assert first + rest == [*everything, "9.9.1.1"]
        stage.ask(delete_command("New"))
        stage.purge_all()
        assert [answer[0x00080018] for answer in pages.find(query, 5).answers] == everything[5:]


def test_what_goes_while_a_page_leaves_is_left_out() -> None:
    with near_misses() as stage, patch.object(find_page, "DESCRIBED", 1):
        pages = Pages(stage.views, BlobStore(Path("/nowhere")))
        query = Query(level=Level.INSTANCE, keys={}, wanted=(0x00100020, 0x00080018), reads_files=False)
        answers = pages.find(query).answers
        met = [next(answers)]
        stage.ask(delete_command(LONG))
        stage.purge_all()
        met += list(answers)
    assert met
    assert all(answer.get(0x00100020) != LONG for answer in met)
