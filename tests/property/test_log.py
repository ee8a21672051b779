"""The log: gapless whatever is refused, never running back in time, and no byte of it can be altered unseen."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages.commands.instances import NoteDuplicate
from actors.messages.commands.resources import SetStability
from actors.messages.commands.scripts import (
    DeleteKeyValue,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    RecordCallbackSkip,
    StoreKeyValue,
)
from events import envelope
from events.envelope import Record
from events.errors import InvalidDicom, NotFound, SinogramError, StorageFailed
from events.event import Event, defaults, field_names
from events.identifiers import Seq
from store.environment import Environment, release_reserve
from store.log import END, scan
from store.records import Origin
from store.tables import EVENTS, PERSONAL, TOTALS, U64, key
from tests.clock import DAY_US, Clock
from tests.examples import examples
from tests.flaky_environment import FlakyEnvironment
from tests.golden import samples
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tools import log

# -- bytes ----------------------------------------------------------------------------------------------------------

EVENT_TYPES = sorted(envelope.EVENT_TYPES.values(), key=lambda event_type: event_type.TAG)
SALT = bytes(range(16))


def _values_like(value: object) -> st.SearchStrategy[object]:
    match value:
        case int():
            return st.integers(0, (1 << 63) - 1)
        case None:
            return st.none() | st.integers(0, 1 << 40)
        case str():
            return st.text(max_size=40)
        case bytes():
            return st.binary(max_size=40)
        case dict():
            return st.dictionaries(st.integers(0, (1 << 32) - 1), st.text(max_size=20), max_size=4)
        case list():
            return st.lists(st.text(max_size=20), max_size=4)
        case _:
            raise TypeError(value)


@st.composite
def some_events(draw: st.DrawFn) -> Event:
    """Draw an event of any type, each field of the kind that its golden sample has there."""
    event_type = draw(st.sampled_from(EVENT_TYPES))
    sample = samples.EVENTS[event_type.TAG]
    names = [name for part in field_names(event_type) for name in part]
    return event_type(**{name: draw(_values_like(getattr(sample, name))) for name in names})


@given(
    event=some_events(),
    at_us=st.integers(0, 1 << 62),
    aggregate=st.binary(max_size=8),
    actor=st.text(max_size=12),
    correlation=st.binary(max_size=8),
)
def test_an_event_comes_back_from_its_bytes(
    event: Event, at_us: int, aggregate: bytes, actor: str, correlation: bytes
) -> None:
    encoded = envelope.encode(
        event,
        at_us=at_us,
        aggregate=aggregate,
        actor=actor,
        correlation=correlation,
        previous_hash=envelope.GENESIS,
        salt=lambda count: SALT[:count],
    )
    record = envelope.decode_record(Seq(7), encoded.row)
    assert envelope.decode_event(record, encoded.personal_row) == event
    values = [getattr(event, name) for name in field_names(type(event))[0]]
    added_since = list(defaults(type(event))[0])  # left out of the row where none of them tells anything
    if added_since and values[-len(added_since) :] == added_since:
        del values[-len(added_since) :]
    assert record == Record(
        Seq(7),
        event.TAG,
        at_us,
        aggregate,
        actor,
        correlation,
        values,
        record.personal_digest,
        envelope.GENESIS,
    )
    assert (record.personal_digest is None) == (encoded.personal_row is None) == (not field_names(type(event))[1])


@given(event=some_events())
def test_the_public_row_tells_nothing_of_the_personal_part_without_the_salt(event: Event) -> None:
    def row(salt: bytes) -> list[object]:
        encoded = envelope.encode(
            event,
            at_us=0,
            aggregate=b"",
            actor="",
            correlation=b"",
            previous_hash=envelope.GENESIS,
            salt=lambda _: salt,
        )
        return [encoded.row, encoded.personal_row]

    assert (row(b"a" * 16) == row(b"b" * 16)) == (not field_names(type(event))[1])


# -- the chain --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Log:
    """A log's rows, and what is recorded as its end."""

    events: dict[bytes, bytes]
    personal: dict[bytes, bytes]
    end: bytes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A log with some events of each kind that commands cause."""
    folder = tmp_path_factory.mktemp("log")
    with Environment(folder, writable=True, durable=False) as env:
        clock = Clock()
        stage = IndexStage(env, clock)
        stage.lease()
        for instance in "abc":
            stage.ask(store_command(instance=instance, correlation=b"12345678"))
            clock.advance(1)
        stage.ask(delete_command("P", "S", "R", "a"))
        stage.ask(store_command("Q", expected_instances=1, index_in_series=1))
        stage.ask(delete_command("P"))
        stage.ask(store_command("Q", instance="b", place=1))
        stage.run(
            NoteDuplicate(id=chain("Q", "S", "R", "b"), **Origin(kind="Lua").facts(), correlation=b""),
            SetStability(id=chain("Q"), is_stable=True, correlation=b""),
            SetStability(id=chain("Q"), is_stable=False, correlation=b""),
            StoreKeyValue(store=b"a", key=b"b", value=b"c"),
            DeleteKeyValue(store=b"a", key=b"b"),
            RecordCallbackFailure(
                cause_seq=1, number=0, callback="C", attempt=1, delay_ms=5_000, cause="error", message="boom"
            ),
            RecordCallbackRecovery(cause_seq=1, number=0, callback="C", attempt=2),
            RecordCallbackSkip(cause_seq=1, number=0, callback="C", attempts=3),
        )
        with env.begin() as txn:
            return Log(
                dict(txn.cursor(db=env.tables[EVENTS])),
                dict(txn.cursor(db=env.tables[PERSONAL])),
                txn.get(END, db=env.tables[TOTALS]),
            )


def verify(rows: Log) -> int:
    """Write a log into a fresh environment and return the exit status of `sinogram log verify`."""
    with tempfile.TemporaryDirectory() as name:
        with Environment(Path(name), writable=True, durable=False) as env, env.begin(write=True) as txn:
            for table, content in ((EVENTS, rows.events), (PERSONAL, rows.personal), (TOTALS, {END: rows.end})):
                for row_key, row in content.items():
                    txn.put(row_key, row, db=env.tables[table])
        return log.verify(Path(name))


def altered(row: bytes, place: float, mask: int) -> bytes:
    at = int(place * len(row))
    return row[:at] + bytes([row[at] ^ mask]) + row[at + 1 :]


places = st.floats(0, 1, exclude_max=True)
masks = st.integers(1, 255)


def test_a_log_that_nobody_touched_is_whole(whole: Log, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(whole) == 0
    assert f"{len(whole.events)} events; every link holds" in capsys.readouterr().out


@settings(max_examples=examples(60), deadline=None)
@given(which=places, place=places, mask=masks)
def test_no_byte_of_an_event_can_be_altered_unseen(whole: Log, which: float, place: float, mask: int) -> None:
    row_key = list(whole.events)[int(which * len(whole.events))]
    damaged = whole.events | {row_key: altered(whole.events[row_key], place, mask)}
    assert verify(Log(damaged, whole.personal, whole.end)) == 2


@settings(max_examples=examples(40), deadline=None)
@given(which=places, place=places, mask=masks)
def test_no_byte_of_a_personal_part_can_be_altered_unseen(whole: Log, which: float, place: float, mask: int) -> None:
    row_key = list(whole.personal)[int(which * len(whole.personal))]
    damaged = whole.personal | {row_key: altered(whole.personal[row_key], place, mask)}
    assert verify(Log(whole.events, damaged, whole.end)) == 2


@settings(max_examples=40, deadline=None)
@given(erased=st.sets(places))
def test_erasing_personal_parts_leaves_the_log_whole(whole: Log, erased: set[float]) -> None:
    keys = list(whole.personal)
    gone = {keys[int(place * len(keys))] for place in erased}
    kept = {row_key: row for row_key, row in whole.personal.items() if row_key not in gone}
    assert verify(Log(whole.events, kept, whole.end)) == 0


def test_a_missing_event_is_found_wherever_it_is_missing(whole: Log) -> None:
    for missing in whole.events:
        rest = {row_key: row for row_key, row in whole.events.items() if row_key != missing}
        assert verify(Log(rest, whole.personal, whole.end)) == 2
    assert verify(Log({}, {}, whole.end)) == 2


def test_two_events_that_changed_places_are_found(whole: Log) -> None:
    first, second = key(2), key(3)
    swapped = whole.events | {first: whole.events[second], second: whole.events[first]}
    assert verify(Log(swapped, whole.personal, whole.end)) == 2


def test_an_event_appended_behind_the_servers_back_is_found(whole: Log) -> None:
    last = max(whole.events)
    extra = key(U64.unpack(last)[0] + 1)
    forged = envelope.encode(
        samples.EVENTS["changes-cleared/1"],
        at_us=1 << 60,
        aggregate=b"",
        actor="nobody",
        correlation=b"",
        previous_hash=envelope.hash_row(whole.events[last]),
    )
    longer = whole.events | {extra: forged.row}
    assert verify(Log(longer, whole.personal, whole.end)) == 2
    assert verify(Log(longer, whole.personal, extra + bytes(32))) == 2
    assert verify(Log(longer, whole.personal, extra + forged.hash)) == 0


# -- what commands leave ----------------------------------------------------------------------------------------------

Step = Callable[[IndexStage, FlakyEnvironment], None]


def _store(stage: IndexStage, _: FlakyEnvironment) -> None:
    stage.run(*(store_command(series=f"R{n}", instance=f"I{n}") for n in range(2)))


def _delete(stage: IndexStage, _: FlakyEnvironment) -> None:
    stage.run(delete_command("P", "S", "R1"))


def _refused(stage: IndexStage, _: FlakyEnvironment) -> None:
    answers = stage.run(delete_command("nobody"), store_command("P|S"), store_command("Z", folder=99))
    assert [type(answer) for answer in answers[:1]] == [NotFound]
    assert all(isinstance(answer, SinogramError | str) for answer in answers)


def _failed_commit(stage: IndexStage, env: FlakyEnvironment) -> None:
    release_reserve(env.folder)  # with which it would be tried again
    env.fail_next_commit()
    answers = stage.run(store_command("lost"), store_command("lost", instance="too"), delete_command("nobody"))
    assert [type(answer) for answer in answers] == [StorageFailed] * 3


steps = st.lists(st.sampled_from([_store, _delete, _refused, _failed_commit]), max_size=12)


@pytest.fixture
def flaky(tmp_path: Path) -> Iterator[Callable[[], FlakyEnvironment]]:
    """Makes environments that can fail; all are closed in the end."""
    made: list[FlakyEnvironment] = []

    def make() -> FlakyEnvironment:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(FlakyEnvironment(folder))
        return made[-1]

    yield make
    for env in made:
        env.close()


def read_log(env: Environment) -> list[Record]:
    return [envelope.decode_record(seq, row) for seq, row, _ in scan(env)]


def test_sequences_have_no_gaps_whatever_was_refused(flaky: Callable[[], FlakyEnvironment]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(script=steps)
    def check(script: list[Step]) -> None:
        env = flaky()
        stage = IndexStage(env, Clock())
        stage.lease()
        for step in script:
            step(stage, env)
        assert [record.seq for record in read_log(env)] == list(range(1, stage.index._log.head.seq + 1))
        env.close()
        assert log.verify(env.folder) == 0

    check()


def test_time_never_runs_back_along_the_log(flaky: Callable[[], FlakyEnvironment]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(jumps=st.lists(st.sampled_from([-DAY_US, -1, 0, 1, 1_000_000, DAY_US]), min_size=1, max_size=15))
    def check(jumps: list[int]) -> None:
        env, clock = flaky(), Clock()
        stage = IndexStage(env, clock)
        stage.lease()
        latest, expected = 0, []
        for number, jump in enumerate(jumps):
            clock.now_us += jump
            latest = max(latest, clock.now_us)
            expected += [latest] * (4 if number == 0 else 1)
            stage.ask(store_command(instance=str(number)))
        assert [record.at_us for record in read_log(env)] == expected
        env.close()

    check()


def test_a_restart_goes_on_with_sequence_chain_and_time(flaky: Callable[[], FlakyEnvironment]) -> None:
    env, clock = flaky(), Clock()
    stage = IndexStage(env, clock)
    stage.lease()
    stage.ask(store_command())
    clock.set_by_a_day(-1)
    again = IndexStage(env, clock)
    again.ask(store_command(instance="later"))
    records = read_log(env)
    assert [record.seq for record in records] == [1, 2, 3, 4, 5]
    assert records[-1].at_us == records[0].at_us
    env.close()
    assert log.verify(env.folder) == 0


def test_identifiers_of_patients_are_in_no_public_row(whole: Log) -> None:
    for names in (("P",), ("P", "S"), ("P", "S", "R"), ("P", "S", "R", "a"), ("Q",)):
        assert not any(bytes(chain(*names)) in row for row in whole.events.values())
        assert any(bytes(chain(*names)) in row for row in whole.personal.values())


def test_a_collision_across_levels_is_refused(flaky: Callable[[], FlakyEnvironment]) -> None:
    stage = IndexStage(flaky(), Clock())
    stage.lease()
    stage.ask(store_command("A", "S"))
    with pytest.raises(InvalidDicom):
        stage.ask(store_command("A|S"))
