"""What scripts and their callbacks have the index record: once each, with limits, and gone when it is over."""

from typing import Any

import pytest

from actors.core.index.decisions import resources as decide
from actors.core.index.decisions.scripts import MAX_KEY_BYTES, MAX_STORE_BYTES, MAX_VALUE_BYTES
from actors.messages.commands.command import Command
from actors.messages.commands.instances import NoteDuplicate
from actors.messages.commands.plain import from_plain, to_plain
from actors.messages.commands.scripts import (
    RecordCallbackFailure,
    RecordCallbackRecovery,
    RecordCallbackSkip,
    StoreKeyValue,
)
from actors.messages.index_client import IndexClient
from events.errors import InvalidRequest, NotFound
from events.identifiers import Level, ResourceId
from store.projections.scripts import FAILURES_KEPT, CallbackCounts
from store.records import Origin
from store.tables import PERSONAL, key
from store.views.callbacks import (
    WaitingCallback,
    count_waiting,
    get_callback_counts,
    list_last_failures,
    list_waiting,
)
from store.views.feed import EventEntry, get_events, get_history
from store.views.key_values import get_value, list_keys
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command

AGAIN = Origin(kind="DicomProtocol", remote_ip="192.0.2.7", remote_aet="MODALITY", called_aet="SINOGRAM")


def events_of(stage: IndexStage, since: int = 0) -> list[EventEntry]:
    with stage.views.snapshot() as snapshot:
        return get_events(snapshot, since=since, limit=10_000)


def names_of(entry: EventEntry) -> list[Any]:
    assert entry.personal is not None
    names: list[Any] = entry.personal["deleted"]
    return names


# -- failed callbacks ----------------------------------------------------------------------------------------------------


def failure(attempt: int = 1, delay_ms: int = 5_000, *, cause_seq: int = 7, number: int = 0) -> RecordCallbackFailure:
    return RecordCallbackFailure(
        cause_seq=cause_seq,
        number=number,
        callback="OnStoredInstance",
        attempt=attempt,
        delay_ms=delay_ms,
        cause="error",
        message=f"attempt {attempt} on Doe^Jane",
        correlation=b"12345678",
    )


def recovery(attempt: int = 2, number: int = 0) -> RecordCallbackRecovery:
    return RecordCallbackRecovery(cause_seq=7, number=number, callback="OnStoredInstance", attempt=attempt)


def skip(attempts: int = 3) -> RecordCallbackSkip:
    return RecordCallbackSkip(cause_seq=7, number=0, callback="OnStoredInstance", attempts=attempts)


def waiting_in(stage: IndexStage) -> list[WaitingCallback]:
    with stage.views.snapshot() as snapshot:
        found = list(list_waiting(snapshot))
        assert count_waiting(snapshot) == len(found)
    return found


def counts_in(stage: IndexStage) -> CallbackCounts:
    with stage.views.snapshot() as snapshot:
        return get_callback_counts(snapshot)


def test_a_callback_that_failed_waits_until_it_is_due(stage: IndexStage, clock: Clock) -> None:
    stage.run(failure(), failure(number=1, delay_ms=30_000))
    assert waiting_in(stage) == [
        WaitingCallback(7, 0, clock() + 5_000_000, 1, "OnStoredInstance"),  # type: ignore[arg-type]  # a plain number
        WaitingCallback(7, 1, clock() + 30_000_000, 1, "OnStoredInstance"),  # type: ignore[arg-type]
    ]
    entry = events_of(stage)[0]
    assert (entry.actor, entry.correlation) == ("lua", b"12345678")
    assert "Doe" not in str(entry.public), "what a script says may name a patient"


@pytest.mark.parametrize("again", [failure(), failure(1, 0)])
def test_an_attempt_is_recorded_once(stage: IndexStage, again: Command) -> None:
    stage.run(failure(), again)
    assert counts_in(stage) == CallbackCounts(failed=1)


def test_a_recovered_callback_does_not_wait_any_more(stage: IndexStage) -> None:
    stage.run(failure(), failure(2, 30_000), recovery(3), recovery(3), recovery(number=5))
    assert waiting_in(stage) == []
    assert counts_in(stage) == CallbackCounts(failed=2, recovered=1)


def test_after_the_last_attempt_a_callback_is_skipped(stage: IndexStage) -> None:
    stage.run(failure(), failure(2, 30_000), failure(3, 0))
    assert [callback.attempt for callback in waiting_in(stage)] == [2], "a crash before the skip loses nothing"
    stage.ask(skip())
    assert waiting_in(stage) == []
    assert counts_in(stage) == CallbackCounts(failed=3, skipped=1)


def test_a_failed_filter_waits_for_nothing(stage: IndexStage) -> None:
    stage.run(failure(1, 0, cause_seq=0), failure(1, 0, cause_seq=0))
    assert waiting_in(stage) == []
    assert counts_in(stage) == CallbackCounts(failed=2)


def test_the_newest_failures_are_shown_with_what_the_script_said(stage: IndexStage, clock: Clock) -> None:
    for number in range(FAILURES_KEPT + 3):
        stage.ask(failure(number=number))
        clock.advance(1)
    with stage.views.snapshot() as snapshot:
        shown = list_last_failures(snapshot)
    assert [entry.seq for entry in shown] == list(range(FAILURES_KEPT + 3, 3, -1))
    newest = shown[0]
    assert (newest.callback, newest.cause_seq, newest.message) == ("OnStoredInstance", 7, "attempt 1 on Doe^Jane")
    assert (newest.at_us, newest.cause, newest.delay_ms) == (clock() - 1_000_000, "error", 5_000)


def test_a_failure_whose_text_was_erased_is_left_out(stage: IndexStage) -> None:
    stage.run(failure(), failure(number=1))
    with stage.env.begin(write=True) as txn:
        txn.delete(key(1), db=stage.env.tables[PERSONAL])
    with stage.views.snapshot() as snapshot:
        assert [entry.seq for entry in list_last_failures(snapshot)] == [2]


@pytest.mark.parametrize("command", [failure(), recovery(), skip(), StoreKeyValue(store=b"", key=b"k", value=b"\xff")])
def test_the_commands_travel_as_plain_values(command: Command) -> None:
    assert from_plain(to_plain(command)) == command


# -- kept values ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(stage: IndexStage) -> IndexClient:
    return IndexClient(stage.ask)


def value_in(stage: IndexStage, store: bytes, name: bytes) -> bytes | None:
    with stage.views.snapshot() as snapshot:
        return get_value(snapshot, store, name)


def test_a_value_is_kept_until_it_is_replaced_or_deleted(stage: IndexStage, client: IndexClient) -> None:
    client.store_key_value(b"routes", b"last", b"\0\xff")
    assert value_in(stage, b"routes", b"last") == b"\0\xff"
    assert value_in(stage, b"route", b"slast") is None, "stores do not run into each other"
    client.store_key_value(b"routes", b"last", b"")
    client.store_key_value(b"routes", b"first", b"x")
    assert value_in(stage, b"routes", b"last") == b""
    with stage.views.snapshot() as snapshot:
        assert list(list_keys(snapshot, b"routes")) == [b"first", b"last"]
    assert client.delete_key_value(b"routes", b"last")
    assert not client.delete_key_value(b"routes", b"last")
    assert value_in(stage, b"routes", b"last") is None


def test_a_value_that_is_there_already_costs_no_event(stage: IndexStage, client: IndexClient) -> None:
    for _ in range(3):
        client.store_key_value(b"", b"k", b"same")
    assert len(events_of(stage)) == 1
    (entry,) = events_of(stage)
    assert entry.public == {}, "what scripts keep may be of a patient"


def test_the_longest_names_and_values_are_kept(stage: IndexStage, client: IndexClient) -> None:
    store, name, value = b"s" * MAX_STORE_BYTES, b"k" * MAX_KEY_BYTES, b"v" * MAX_VALUE_BYTES
    client.store_key_value(store, name, value)
    assert value_in(stage, store, name) == value


@pytest.mark.parametrize(
    ("store", "name", "value", "says"),
    [
        (b"s" * (MAX_STORE_BYTES + 1), b"k", b"", "store holds at most 128 bytes, not 129"),
        (b"", b"", b"", "key holds 1 to 255 bytes, not 0"),
        (b"", b"k" * (MAX_KEY_BYTES + 1), b"", "key holds 1 to 255 bytes, not 256"),
        (b"", b"k", b"v" * (MAX_VALUE_BYTES + 1), "value holds at most 1048576 bytes, not 1048577"),
    ],
)
def test_what_is_too_long_is_refused(
    stage: IndexStage, client: IndexClient, store: bytes, name: bytes, value: bytes, says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says):
        client.store_key_value(store, name, value)
    assert events_of(stage) == []


@pytest.mark.parametrize(("store", "name"), [(b"s" * 300, b"k"), (b"", b"k" * 600)])
def test_nothing_is_found_under_a_key_that_cannot_be(stage: IndexStage, store: bytes, name: bytes) -> None:
    assert value_in(stage, store, name) is None


# -- duplicates ----------------------------------------------------------------------------------------------------------


def test_an_instance_that_was_sent_again_has_that_in_its_history(stage: IndexStage, client: IndexClient) -> None:
    stage.ask(store_command())
    client.note_duplicate(chain("P", "S", "R", "I"), AGAIN, b"upload-2")
    with stage.views.snapshot() as snapshot:
        history = get_history(snapshot, chain("P", "S", "R", "I"))
        assert snapshot.statistics().instances == 1
    assert [entry.tag for entry in history] == ["instance-stored/2", "instance-received-again/1"]
    assert history[1].public == {"instance": 1, "origin": "DicomProtocol"}
    assert history[1].aggregate == history[0].aggregate
    assert (history[1].correlation, history[1].actor) == (b"upload-2", "ingest")


def test_a_duplicate_of_what_is_gone_meanwhile_is_no_event(stage: IndexStage) -> None:
    stage.ask(store_command())
    stage.ask(delete_command("P"))
    before = len(events_of(stage))
    for gone in (chain("P", "S", "R", "I"), ResourceId(bytes(20))):
        assert stage.ask(NoteDuplicate(id=gone, **AGAIN.facts(), correlation=b"")) is False
    assert len(events_of(stage)) == before


# -- purges ---------------------------------------------------------------------------------------------------------------


def test_a_purge_names_what_it_removes_children_first_and_what_was_asked_for_last(
    stage: IndexStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 2)
    stage.ask(store_command("kept"))
    for place, (series, instance) in enumerate([("R", "1"), ("R", "2"), ("R", "3"), ("T", "4")], 1):
        stage.ask(store_command(series=series, instance=instance, place=place))
    before = stage.index._log.head.seq
    stage.ask(delete_command("P", "S"))
    stage.purge_all()
    deleted, *steps = events_of(stage, before)
    assert deleted.personal is not None
    assert (deleted.tag, deleted.personal["requested_id"]) == ("resource-deleted/2", chain("P", "S"))
    assert {step.tag for step in steps} == {"rows-purged/2"}
    assert [names_of(step) for step in steps] == [
        [[Level.INSTANCE, chain("P", "S", "R", "1")], [Level.INSTANCE, chain("P", "S", "R", "2")]],
        [
            [Level.INSTANCE, chain("P", "S", "R", "3")],
            [Level.SERIES, chain("P", "S", "R")],
            [Level.INSTANCE, chain("P", "S", "T", "4")],
        ],
        [[Level.SERIES, chain("P", "S", "T")], [Level.PATIENT, chain("P")], [Level.STUDY, chain("P", "S")]],
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("P",), "INSTANCE SERIES STUDY PATIENT"),
        (("P", "S"), "INSTANCE SERIES PATIENT STUDY"),
        (("P", "S", "R"), "INSTANCE PATIENT STUDY SERIES"),
        (("P", "S", "R", "I"), "PATIENT STUDY SERIES INSTANCE"),
    ],
)
def test_what_was_asked_for_is_named_last(stage: IndexStage, names: tuple[str, ...], expected: str) -> None:
    """As on Orthanc 1.12.7: first what lay below, then what is left empty above, from the top."""
    stage.ask(store_command())
    before = stage.index._log.head.seq
    stage.ask(delete_command(*names))
    stage.purge_all()
    _, purged = events_of(stage, before)
    assert [Level(level).name for level, _ in names_of(purged)] == expected.split()


def test_a_deleted_instance_is_named_by_its_deletion_alone(stage: IndexStage) -> None:
    stage.run(store_command(instance="1"), store_command(instance="2", place=1))
    before = stage.index._log.head.seq
    stage.ask(delete_command("P", "S", "R", "1"))
    assert [entry.tag for entry in events_of(stage, before)] == ["resource-deleted/2"]


def test_a_purge_whose_deletion_was_erased_leaves_the_root_out(
    stage: IndexStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 1)
    stage.ask(store_command())
    stage.ask(delete_command("P"))
    with stage.env.begin(write=True) as txn:
        assert txn.delete(key(5), db=stage.env.tables[PERSONAL])
    stage.purge_all()
    assert [level for level, _ in names_of(events_of(stage)[-1])] == [Level.SERIES, Level.STUDY]


# -- stability -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stable", [True, False])
def test_the_stability_of_what_is_not_there_or_has_none_cannot_be_set(
    stage: IndexStage, client: IndexClient, *, is_stable: bool
) -> None:
    stage.ask(store_command())
    with pytest.raises(NotFound):
        client.set_stability(ResourceId(bytes(20)), is_stable=is_stable)
    with pytest.raises(InvalidRequest):
        client.set_stability(chain("P", "S", "R", "I"), is_stable=is_stable)
