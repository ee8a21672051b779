"""A small archive for queries, full of near misses, the keys that are asked of it, and what it holds, without any cleverness.

Texts are equal in other cases, absent, empty, too long for a key of an index; the deletion of some resources is half done; a study
came back.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from actors.core.index.decisions import resources as decide
from events.identifiers import Level
from store.blobs.writer import make_blob_id
from store.dicom.matching import Matcher
from store.environment import Environment
from store.records import Instance, Resource
from store.views.snapshot import Snapshot
from tests.clock import Clock
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


@contextmanager
def near_misses() -> Iterator[IndexStage]:
    """The archive, the same each time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(patch.object(decide, "PURGE_STEP_INSTANCES", 1))
        env = stack.enter_context(Environment(folder, writable=True, durable=False))
        stage = IndexStage(env, Clock())
        stage.lease()
        _archive(stage)
        yield stage


def keys_for(tag: int) -> st.SearchStrategy[str]:
    texts = st.sampled_from(TEXTS[tag])
    patterns = st.builds(
        lambda text, cut, tail: text[:cut] + tail, texts, st.integers(0, 9), st.sampled_from(["*", "?", "*a*", "?*"])
    )
    ranges = st.builds("{}-{}".format, texts, texts)
    lists = st.lists(texts, min_size=2, max_size=3).map("\\".join)
    return st.one_of(texts, texts.map(str.lower), patterns, ranges, lists)


def matches(key: Matcher, tag: int, tags: dict[int, str]) -> bool:
    if tag == MODALITIES_IN_STUDY and tag in tags:
        return any(key.matches(part) for part in tags[tag].split("\\"))
    return key.matches(tags.get(tag))


def tags_of(s: Snapshot, record: Resource | Instance) -> dict[int, str]:
    """Everything that is known of a resource, without any cleverness."""
    if isinstance(record, Resource) and record.level == Level.PATIENT:
        return dict(record.tags)
    if isinstance(record, Resource) and record.level == Level.STUDY:
        series = [each.tags[0x00080060] for each in s.children(record) if 0x00080060 in each.tags]
        computed = {MODALITIES_IN_STUDY: "\\".join(sorted(set(series))), SERIES_COUNT: str(record.series_count)}
        return {**record.patient_tags, **record.tags, **computed}
    above = {
        tag: text
        for tag, text in tags_of(s, s.parent(record)).items()
        if tag not in {MODALITIES_IN_STUDY, SERIES_COUNT}
    }
    return {**above, **record.tags}
