"""What answers to queries may take: of one query, and of the folder they are kept in."""

from pathlib import Path

import pytest

from actors.services.remote.answer_limits import AnswerLimits
from actors.services.remote.find_scu import Match
from actors.services.remote.query_store import FOLDER, QueryStore
from actors.wire.errors import RemoteFailed
from events.errors import StorageFull
from tests.unit.actors.test_query_store import EXPLICIT_LE, QUERY

ANSWER = Match(bytes(1_000), EXPLICIT_LE)
FOLDER_BYTES = 20_000


@pytest.fixture
def store(tmp_path: Path) -> QueryStore:
    return QueryStore(tmp_path, 100, AnswerLimits(folder_bytes=FOLDER_BYTES))


@pytest.fixture(autouse=True)
def _checked_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.services.remote.query_store.CHECK_BYTES", 1)


def keep(store: QueryStore, answers: int) -> str:
    with store.create(QUERY) as writer:
        for _ in range(answers):
            writer.write(ANSWER)
        name = writer.keep()
    store.trim()
    return name


def size(tmp_path: Path) -> int:
    return sum(path.stat().st_size for path in (tmp_path / FOLDER).iterdir())


@pytest.mark.parametrize("size_bytes", [0, 1, 1_000])
def test_answers_beyond_the_limit_of_a_query_are_a_failure_however_small(size_bytes: int) -> None:
    budget = AnswerLimits(query_bytes=100_000).budget("PACS")
    answer = Match(bytes(size_bytes), EXPLICIT_LE)
    count = 0
    with pytest.raises(RemoteFailed) as raised:  # noqa: PT012 # it is the last of many that is refused
        while count < 2_000:
            count += budget.take(answer) is answer
    assert '"PACS": its answers take more than 100000 bytes' in raised.value.details
    assert "MaximumQueryAnswersSizeMB" in raised.value.details
    assert count == 100_000 // (size_bytes + 64)


def test_what_is_put_together_in_memory_has_an_eighth() -> None:
    limits = AnswerLimits(query_bytes=80_000)
    for in_memory, count in ((False, 75), (True, 9)):
        budget = limits.budget("PACS", in_memory=in_memory)
        for _ in range(count):
            budget.take(ANSWER)
        with pytest.raises(RemoteFailed):
            budget.take(ANSWER)


def test_without_limits_everything_is_taken(tmp_path: Path) -> None:
    limits = AnswerLimits(query_bytes=0, folder_bytes=0)
    budget = limits.budget("PACS", in_memory=True)
    assert all(budget.take(ANSWER) is ANSWER for _ in range(10_000))
    store = QueryStore(tmp_path, 100, limits)
    names = {keep(store, 50) for _ in range(3)}
    assert set(store.names()) == names


def test_queries_used_longest_ago_make_room_for_the_next(store: QueryStore, tmp_path: Path) -> None:
    first, second, third = (keep(store, 6) for _ in range(3))
    with store.open(first):
        pass  # it is used
    fourth = keep(store, 6)
    assert set(store.names()) == {first, third, fourth}
    assert second not in store.names()
    assert size(tmp_path) <= FOLDER_BYTES


def test_a_query_that_does_not_fit_the_folder_alone_fails_and_leaves_nothing(store: QueryStore, tmp_path: Path) -> None:
    keep(store, 6)
    with pytest.raises(StorageFull, match="MaximumQueryFolderSizeMB"):
        keep(store, 100)
    assert (store.names(), size(tmp_path)) == ([], 0)
    assert keep(store, 6) in store.names()


def test_queries_under_way_count_and_are_not_removed(store: QueryStore, tmp_path: Path) -> None:
    with store.create(QUERY) as one, store.create(QUERY) as other:
        for _ in range(8):
            one.write(ANSWER)
            other.write(ANSWER)
        with pytest.raises(StorageFull):
            keep(QueryStore(tmp_path, 100, store.limits), 20)  # as in another process
        assert {one.keep(), other.keep()} == set(store.names())


def test_answers_that_are_being_read_by_their_request_count_until_then(store: QueryStore, tmp_path: Path) -> None:
    with store.create(QUERY) as writer:
        for _ in range(15):
            writer.write(ANSWER)
        reader = writer.read()
    with reader:
        assert reader.count == 15
        with pytest.raises(StorageFull):
            keep(store, 10)
    assert size(tmp_path) == 0
    assert keep(store, 10) in store.names()


def test_what_a_process_that_died_was_writing_makes_room(store: QueryStore, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    kept = keep(store, 6)
    (folder / "dead.part").write_bytes(bytes(10_000))
    (folder / "beginning.part").touch()  # created, and not locked yet
    newest = keep(store, 10)
    assert not (folder / "dead.part").exists()
    assert (folder / "beginning.part").exists()
    assert {kept, newest} == set(store.names())
