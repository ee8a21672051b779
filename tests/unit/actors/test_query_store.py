"""Files of answers: found by number, shared by processes, the one used longest ago goes first."""

import errno
import os
from io import BytesIO
from pathlib import Path

import pytest

from actors.services.remote.find_scu import Match
from actors.services.remote.modality import Modality, Operation
from actors.services.remote.query_store import QueryStore, StoredQuery, clear_queries
from events.errors import NotFound, PeerFailed, StorageFull
from events.identifiers import Level
from store.dicom.identifier import encode_dataset
from store.dicom.matching import Dataset
from store.run_clock import uptime_us

PATIENT_ID = 0x00100020
EXPLICIT_LE = "1.2.840.10008.1.2.1"
QUERY = StoredQuery(
    modality=Modality(name="pacs", aet="PACS", host="h", port=104, allowed=frozenset({Operation.ECHO})),
    level=Level.STUDY,
    keys={0x00100020: "P*"},
    local_aet="ME",
    timeout_s=15,
    default_encoding="Latin1",
)


@pytest.fixture
def store(tmp_path: Path) -> QueryStore:
    return QueryStore(tmp_path, 3)


def match(answer: Dataset) -> Match:
    return Match(encode_dataset(answer, EXPLICIT_LE, "Latin1"), EXPLICIT_LE)


def keep(store: QueryStore, answers: list[Dataset]) -> str:
    with store.create(QUERY) as writer:
        for answer in answers:
            writer.write(match(answer))
        name = writer.keep()
    store.trim()
    return name


def use_at(tmp_path: Path, name: str, time_ns: int) -> None:
    os.utime(tmp_path / "queries" / name, ns=(time_ns, time_ns))


def test_an_answer_is_found_by_its_number_by_another_process(store: QueryStore, tmp_path: Path) -> None:
    answers: list[Dataset] = [
        {0x00100020: f"P{n}", 0x00400100: ({0x00080060: "CT"},), 0x00280010: None} for n in range(1_000)
    ]
    name = keep(store, answers)
    with QueryStore(tmp_path, 3).open(name) as reader:
        assert reader.query == QUERY
        assert reader.count == 1_000
        assert reader.answer(0) == answers[0]
        assert reader.answer(999) == answers[999]
        assert list(reader.answers()) == answers
        for number in (-1, 1_000):
            with pytest.raises(IndexError):
                reader.answer(number)


def test_queries_are_dated_by_a_clock_that_nobody_sets(store: QueryStore, tmp_path: Path) -> None:
    """Else, after the wall's was set back by a day, the queries in use were the oldest."""
    before = uptime_us()
    name = keep(store, [])
    kept = (tmp_path / "queries" / name).stat().st_mtime_ns // 1000
    store.open(name).__exit__(None, None, None)
    used = (tmp_path / "queries" / name).stat().st_mtime_ns // 1000
    assert before <= kept <= used <= uptime_us()


def test_a_query_without_answers_is_kept(store: QueryStore) -> None:
    with store.open(keep(store, [])) as reader:
        assert reader.count == 0
        assert reader.query == QUERY


def test_a_file_that_is_not_finished_is_never_seen(store: QueryStore, tmp_path: Path) -> None:
    with store.create(QUERY) as writer:
        writer.write(match({PATIENT_ID: "x"}))
        assert store.names() == []
        with pytest.raises(NotFound):
            store.open(writer.name)
    assert list((tmp_path / "queries").iterdir()) == []


def test_answers_can_be_read_without_being_kept(store: QueryStore, tmp_path: Path) -> None:
    with store.create(QUERY) as writer:
        writer.write(match({PATIENT_ID: "x"}))
        reader = writer.read()
    with reader:
        assert store.names() == []
        assert list(reader.answers()) == [{PATIENT_ID: "x"}]


def test_the_query_used_longest_ago_goes_first(store: QueryStore, tmp_path: Path) -> None:
    one, two, three = (keep(store, []) for _ in range(3))
    for age, name in enumerate((one, two, three)):
        use_at(tmp_path, name, age + 1)
    store.open(one).__exit__(None, None, None)  # used now
    four = keep(store, [])
    assert store.names() == sorted((one, three, four))


@pytest.mark.parametrize("name", ["nope", "..", "", "../index/data.mdb", "0" * 36])
def test_a_name_that_is_none_is_not_looked_for(store: QueryStore, name: str) -> None:
    with pytest.raises(NotFound):
        store.open(name)
    store.remove(name)


def test_a_removed_query_is_gone(store: QueryStore) -> None:
    name = keep(store, [])
    store.remove(name)
    store.remove(name)
    assert store.names() == []


def test_a_start_without_a_folder_is_fine(tmp_path: Path) -> None:
    clear_queries(tmp_path)


def test_at_the_start_everything_is_forgotten(store: QueryStore, tmp_path: Path) -> None:
    keep(store, [{PATIENT_ID: "x"}])
    with store.create(QUERY):
        clear_queries(tmp_path)
        assert list((tmp_path / "queries").iterdir()) == []


def test_an_answer_that_cannot_be_read_harms_no_other(store: QueryStore) -> None:
    with store.create(QUERY) as writer:
        writer.write(Match(b"\x10\x00\x20\x00LO\xff\xff", EXPLICIT_LE))
        writer.write(match({PATIENT_ID: "x"}))
        name = writer.keep()
    with store.open(name) as reader:
        with pytest.raises(PeerFailed):
            reader.answer(0)
        assert reader.answer(1) == {PATIENT_ID: "x"}


class FullDisk(BytesIO):
    def write(self, _data: object, /) -> int:
        raise OSError(errno.ENOSPC, "no space")


def test_a_full_disk_is_named(store: QueryStore, tmp_path: Path) -> None:
    with store.create(QUERY) as writer:
        writer._file.close()
        writer._file = FullDisk()  # type: ignore[assignment]  # a file as far as the writer needs one
        with pytest.raises(StorageFull):
            writer.write(match({PATIENT_ID: "x"}))
    assert list((tmp_path / "queries").iterdir()) == []
