"""What the index records of metadata that clients set."""

from typing import Any

import pytest

from actors.messages.commands.metadata import MAX_VALUE_BYTES, RemoveMetadata, SetMetadata
from events.errors import InvalidRequest, NotFound
from events.identifiers import Level
from store.environment import Environment
from store.tables import METADATA
from store.views.feed import get_events, get_history
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command

NAMES = ("P", "S", "R", "I")


@pytest.fixture
def stage(env: Environment, clock: Clock) -> IndexStage:
    made = IndexStage(env, clock)
    made.lease()
    made.ask(store_command(*NAMES))
    made.ask(store_command("P", "S", "R", "J", place=1))
    return made


def put(*names: str, value: bytes = b"x", number: int = 1024) -> SetMetadata:
    return SetMetadata(id=chain(*names), number=number, value=value, correlation=b"12345678")


def remove(*names: str, number: int = 1024) -> RemoveMetadata:
    return RemoveMetadata(id=chain(*names), number=number, correlation=b"12345678")


def told(stage: IndexStage) -> list[dict[str, Any]]:
    """The events of metadata, all values together."""
    with stage.views.snapshot() as snapshot:
        found = get_events(snapshot, limit=1000)
    return [{**each.public, **(each.personal or {})} for each in found if each.tag.startswith("metadata-")]


def rows(stage: IndexStage) -> int:
    with stage.views.snapshot() as snapshot:
        return len(list(snapshot.keys(METADATA, b"")))


def test_each_event_says_what_was_and_what_is(stage: IndexStage) -> None:
    commands = [put("P", value=b"one"), put("P", value=b"two"), put("P", value=b"two"), remove("P"), put("P")]
    assert stage.run(*commands) == [0, 1, 2, True, 0]
    revisions = [(each["old_revision"], each.get("revision")) for each in told(stage)]
    values = [(each["old_value"], each.get("value")) for each in told(stage)]
    assert revisions == [(None, 0), (0, 1), (1, 2), (2, None), (None, 0)]
    assert values == [(None, b"one"), (b"one", b"two"), (b"two", b"two"), (b"two", None), (None, b"x")]
    assert {(each["level"], each["id"]) for each in told(stage)} == {(Level.PATIENT, chain("P"))}


def test_what_is_personal_stands_apart(stage: IndexStage) -> None:
    stage.ask(put("P", value=b"Doe"))
    stage.ask(remove("P"))
    with stage.views.snapshot() as snapshot:
        found = [each for each in get_events(snapshot, limit=1000) if each.tag.startswith("metadata-")]
    for each in found:
        assert not {"id", "value", "old_value"} & each.public.keys()
    first = get_first_aggregate(stage)
    assert {each.aggregate for each in found} == {first}
    assert {(each.actor, each.correlation) for each in found} == {("rest", b"12345678")}


def get_first_aggregate(stage: IndexStage) -> bytes:
    with stage.views.snapshot() as snapshot:
        return get_events(snapshot, limit=1)[0].aggregate


def test_what_is_not_there_leaves_no_event(stage: IndexStage) -> None:
    assert stage.ask(remove("P")) is False
    assert [type(each) for each in stage.run(put("Q"), remove("Q"))] == [NotFound, NotFound]
    assert told(stage) == []


@pytest.mark.parametrize("number", [0, 7, 1023, 65536])
def test_numbers_that_are_not_the_users(stage: IndexStage, number: int) -> None:
    with pytest.raises(InvalidRequest, match="read-only"):
        stage.ask(put("P", number=number))


def test_a_value_has_a_limit(stage: IndexStage) -> None:
    stage.ask(put("P", value=bytes(MAX_VALUE_BYTES)))
    with pytest.raises(InvalidRequest, match=f"at most {MAX_VALUE_BYTES} bytes, not {MAX_VALUE_BYTES + 1}"):
        stage.ask(put("P", value=bytes(MAX_VALUE_BYTES + 1)))


def test_metadata_leave_with_their_resource(stage: IndexStage) -> None:
    for length in range(1, 5):
        stage.run(put(*NAMES[:length]), put(*NAMES[:length], number=65535))
    stage.ask(delete_command(*NAMES))
    assert rows(stage) == 6
    stage.ask(delete_command("P"))
    stage.purge_all()
    assert rows(stage) == 0
    stage.ask(store_command(*NAMES, place=2))
    assert stage.ask(put(*NAMES)) == 0  # a new life


def test_the_history_of_an_instance_has_its_metadata(stage: IndexStage) -> None:
    stage.run(put(*NAMES), put("P"), remove(*NAMES))
    with stage.views.snapshot() as snapshot:
        tags = [each.tag for each in get_history(snapshot, chain(*NAMES))]
    assert tags == ["instance-stored/2", "metadata-set/1", "metadata-removed/1"]
