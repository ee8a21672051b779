"""Events of the log on their way to callbacks: order, the cursor, chains, failures, and what a death leaves behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.messages.commands.command import Command
from actors.messages.commands.metadata import RemoveMetadata, SetMetadata
from actors.messages.commands.resources import DeleteResource
from actors.messages.commands.server import SaveCursor
from actors.services.lua import deliverer, retries
from actors.services.lua.actor import ScriptsActor
from actors.services.lua.caused_calls import DeliveryReader
from actors.services.lua.chain import Chain
from actors.services.lua.cursor import CONSUMER
from actors.services.lua.deliverer import Deliverer, Targets
from actors.services.lua.recorder import Recorder
from actors.services.lua.runtime import Interpreter
from actors.services.scripts import callbacks
from actors.services.scripts.board import Board
from events.errors import SinogramError, StorageFull
from events.identifiers import Level, Seq, format_resource_id, parse_resource_id
from events.resources import InstanceStored
from store.blobs.store import BlobStore
from store.environment import Environment
from store.run_clock import begin_run
from store.tables import CURSORS, U64
from store.views.callbacks import list_waiting
from store.views.feed import get_events
from store.views.jobs import get_plan, list_jobs
from store.views.metadata import MetadataNaming
from tests.clock import Clock
from tests.dicom_bytes import dataset, encode
from tests.index_stage import IndexStage, chain, store_command


class Disk:
    """Whether the index takes anything."""

    is_full = False


class Stage:
    """An archive, an interpreter with one script, and a deliverer whose steps the test takes."""

    def __init__(self, env: Environment, folder: Path, script: str) -> None:
        self.clock = Clock()
        self.index = IndexStage(env, self.clock)
        self.blobs = BlobStore(folder)
        self.folder = self.index.lease()
        self.disk = Disk()
        self.board = Board()
        self.said: list[str] = []
        self.watched: list[int] = []
        self.places = 0
        self.load(script)

    def load(self, script: str, **options: Any) -> None:
        """Begin with a new interpreter and deliverer, as a process that is started again does."""
        operations = Chain()
        functions = operations.functions() | {
            "say": lambda *texts: self.said.append(" ".join(t.decode() for t in texts))
        }
        self.interpreter = interpreter = Interpreter(functions)
        interpreter.load(script.encode(), "stage.lua")
        self.actor = actor = ScriptsActor("lua-test", interpreter, self.board, on_failed=lambda *_: None)
        self.board.publish(interpreter.defined(callbacks.ALL))
        self.deliverer = Deliverer(
            actor,
            self.board,
            DeliveryReader(self.index.views, self.blobs, lambda: "Latin1", MetadataNaming({"note": 1024})),
            self.index.views,
            operations,
            Targets(modalities=lambda: {"sample"}, peers=set),
            Recorder(self.begin),
            watch=self.watch,
            clock=self.clock.monotonic,
            wall_clock_us=self.clock,
            since_boot_us=lambda: int(self.clock.monotonic() * 1e6),
            **options,
        )
        self.deliverer.on_defined()

    def watch(self, seq: int, tags: frozenset[str]) -> None:
        self.watched.append(seq)
        self.tags_watched = tags

    def define(self, script: str) -> None:
        """Do what an executed script does, as far as the deliverer is told of it."""
        self.interpreter.execute(script.encode())
        self.board.publish(self.interpreter.defined(callbacks.ALL))
        self.deliverer.on_defined()

    def begin(self, command: Command) -> Callable[[], Any]:
        if self.disk.is_full:

            def refuse() -> Any:
                raise StorageFull("full")

            return refuse
        (answer,) = self.index.run(command)

        def result() -> Any:
            if isinstance(answer, SinogramError):
                raise answer
            return answer

        return result

    def store(self, name: str, patient: str = "P", **values: Any) -> str:
        """Store an instance; returns its identifier. `values` are those of its command."""
        data = encode(dataset(PatientID=patient, SOPInstanceUID=name))
        command = store_command(
            patient,
            instance=name,
            folder=self.folder,
            place=self.places,
            size_bytes=len(data),
            **values,
        )
        self.places += 1
        path = self.blobs.path(command.blob)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.index.ask(command)
        return format_resource_id(command.id)

    def step_until_rest(self) -> float | None:
        for _ in range(10_000):
            pause_s = self.deliverer.step()
            if pause_s != 0.0:
                return pause_s
        raise AssertionError("there is always more to do")

    @property
    def cursor(self) -> int:
        with self.index.views.snapshot() as snapshot:
            return int(U64.unpack(snapshot.row(CURSORS, CONSUMER.encode()) or bytes(8))[0])

    def tags(self) -> list[str]:
        with self.index.views.snapshot() as snapshot:
            return [entry.tag for entry in get_events(snapshot, limit=10_000)]


Begin = Callable[[str], Stage]


@pytest.fixture
def begin(env: Environment, tmp_path: Path) -> Begin:
    return lambda script: Stage(env, tmp_path / "blobs", script)


def test_instances_are_delivered_in_order_with_their_tables(begin: Begin) -> None:
    stage = begin("function OnStoredInstance(id, tags, metadata, origin) say(id, tags.PatientID, origin.RemoteAet) end")
    ids = [stage.store(name) for name in ("1.1", "1.2", "1.3")]
    stage.step_until_rest()
    assert stage.said == [f"{each} P MODALITY" for each in ids]


def test_the_cursor_follows_and_nothing_is_delivered_twice(begin: Begin) -> None:
    script = "function OnStoredInstance(id) say(id) end"
    stage = begin(script)
    first = stage.store("1.1")
    stage.step_until_rest()
    stage.clock.advance(10)
    stage.step_until_rest()
    stage.load(script)
    second = stage.store("1.2")
    stage.step_until_rest()
    assert stage.said == [first, second]


@pytest.mark.parametrize("end", ["", "error('cut short')"])
def test_a_callback_that_the_end_of_the_server_breaks_off_is_called_again(begin: Begin, end: str) -> None:
    script = f"function OnStoredInstance(id) Delete(id) say(id) {end} end"
    stage = begin(script)
    stored = stage.store("1.1")
    stage.actor.break_off()
    assert stage.deliverer.step() == deliverer.AGAIN_S
    assert not {"job-submitted/1", "callback-failed/1"} & set(stage.tags())
    stage.load("function OnStoredInstance(id) say('again', id) end")
    stage.step_until_rest()
    assert stage.said == [stored, f"again {stored}"]


@pytest.mark.parametrize("days", [-3650, -1, 0, 1, 3650])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_callback_is_called_again_after_its_delay_however_the_clock_is_set(
    begin: Begin, days: int, *, is_restarted: bool
) -> None:
    script = "function OnStoredInstance(id) say(id) error('no') end"
    stage = begin(script)
    stored = stage.store("1.1")
    begin_run(stage.index.env, stage.clock(), int(stage.clock.monotonic() * 1e6))
    stage.step_until_rest()
    stage.clock.set_by_a_day(days)
    if is_restarted:
        stage.load(script)
    delay_s = retries.RETRY_DELAYS_S[0]
    stage.step_until_rest()
    stage.clock.advance(delay_s - 0.01)
    stage.step_until_rest()
    assert stage.said == [stored]
    stage.clock.advance(0.02)
    stage.step_until_rest()
    assert stage.said == [stored, stored]


def test_the_cursor_passes_events_that_no_callback_is_for(begin: Begin) -> None:
    stage = begin("function OnJobSuccess() end")
    stage.store("1.1")
    stage.step_until_rest()
    stage.clock.advance(deliverer.UNSAVED_S)
    assert stage.step_until_rest() is None
    assert stage.cursor == stage.watched[-1] == 4


def test_an_instance_that_was_deleted_meanwhile_is_told_of(begin: Begin) -> None:
    stage = begin(
        "function OnStoredInstance(id, tags) say(tags.PatientID) end function OnDeletedInstance(id) say('gone') end"
    )
    stage.store("1.1")
    stage.index.ask(_delete())
    stage.index.purge_all()
    stage.step_until_rest()
    assert stage.said == ["P", "gone"]


@pytest.mark.parametrize("derivation", ["ModifiedFrom", "AnonymizedFrom"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("is_sent_again", [True, False])
def test_an_instance_that_was_deleted_meanwhile_is_no_original_if_it_was_none(
    begin: Begin, derivation: str, *, is_first: bool, is_sent_again: bool
) -> None:
    stage = begin(
        "function OnStoredInstance(id, tags, metadata)"
        " say(tags.SOPInstanceUID, tostring(metadata.ModifiedFrom), tostring(metadata.AnonymizedFrom)) end"
    )
    if not is_first:
        stage.store("1.1")
    source = chain("O", "S", "R", "I")
    sources = {Level.INSTANCE.value: source, Level.STUDY.value: chain("O", "S")}
    stage.store("1.2", derivation=derivation, derived_from=sources, keeps_labels=True)
    stage.index.ask(_delete())
    stage.index.purge_all()
    if is_sent_again:
        stage.store("1.2")
    stage.step_until_rest()
    told = format_resource_id(source)
    wanted = f"1.2 {told} nil" if derivation == "ModifiedFrom" else f"1.2 nil {told}"
    assert stage.said == [*([] if is_first else ["1.1 nil nil"]), wanted, *(["1.2 nil nil"] if is_sent_again else [])]


def test_all_that_a_deletion_takes_along_is_told(begin: Begin) -> None:
    levels = ("Patient", "Study", "Series", "Instance")
    stage = begin(" ".join(f"function OnDeleted{level}(id) say('{level}', id) end" for level in levels))
    instances = [stage.store(name) for name in ("1.1", "1.2")]
    stage.index.ask(_delete())
    stage.index.purge_all()
    stage.step_until_rest()
    above = [format_resource_id(chain(*"PSR"[:count])) for count in (3, 2, 1)]
    expected = {f"Instance {each}" for each in instances} | {
        f"{level} {each}" for level, each in zip(("Series", "Study", "Patient"), above, strict=True)
    }
    assert set(stage.said) == expected
    assert len(stage.said) == 5


@pytest.mark.parametrize("mapped_bytes", [0, 1 << 20])
def test_a_file_that_was_emptied_holds_up_nothing(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, mapped_bytes: int
) -> None:
    monkeypatch.setattr("store.blobs.store.MAPPED_BYTES", mapped_bytes)
    stage = begin("function OnStoredInstance(id, tags) say(tags.SOPInstanceUID) end")
    for name in ("1.1", "1.2"):
        stage.store(name)
    min(path for path in (tmp_path / "blobs").rglob("*") if path.is_file()).write_bytes(b"")
    stage.step_until_rest()
    assert stage.said == ["1.2"]


def _delete() -> DeleteResource:
    return DeleteResource(level=Level.PATIENT, id=chain("P"), remote_ip="", username="", correlation=b"")


def test_a_chain_becomes_one_job_with_the_correlation_of_its_cause(begin: Begin) -> None:
    stage = begin("function OnStoredInstance(id) Delete(SendToModality(id, 'sample')) end")
    instance = stage.store("1.1", correlation=b"12345678")
    stage.step_until_rest()
    with stage.index.views.snapshot() as snapshot:
        (job,) = list_jobs(snapshot)
        plan = get_plan(snapshot, job.ref)
        correlations = [e.correlation for e in get_events(snapshot) if e.tag == "job-submitted/1"]
    assert job.type == "SequenceOfOperations"
    assert plan is not None
    assert [(o["operation"], o["resource"]) for o in plan.values["operations"]] == [
        ("store-scu", instance),
        ("delete", instance),
    ]
    assert correlations == [b"12345678"]


def test_a_chain_to_nowhere_does_nothing_and_is_a_failure(begin: Begin) -> None:
    stage = begin("function OnStoredInstance(id) Delete(SendToModality(id, 'nowhere')) end")
    stage.store("1.1")
    stage.step_until_rest()
    assert "job-submitted/1" not in stage.tags()
    assert stage.tags().count("callback-failed/1") == 1


def test_a_chain_that_no_job_holds_is_a_failure_and_holds_up_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.services.lua.chain.MAX_PLAN_BYTES", 1_000)
    stage = begin("function OnStoredInstance(id, tags) for _ = 1, tags.SOPInstanceUID * 10 do Delete(id) end end")
    for name in ("2.1", "0.1"):
        stage.store(name)
    stage.step_until_rest()
    assert stage.tags().count("callback-failed/1") == 1
    assert stage.tags().count("job-submitted/1") == 1


FAILS_TWICE = """
    function OnStoredInstance(id, tags)
        say(tags.SOPInstanceUID)
        tries = (tries or 0) + 1
        if tags.SOPInstanceUID == '1.1' and tries < 4 then error('not yet') end
    end
"""


def test_a_callback_that_fails_does_not_stop_the_next_and_is_called_again(begin: Begin) -> None:
    stage = begin(FAILS_TWICE)
    for name in ("1.1", "1.2"):
        stage.store(name)
    pause_s = stage.step_until_rest()
    assert stage.said == ["1.1", "1.2"]
    assert pause_s is not None
    assert 0 < pause_s <= retries.RETRY_DELAYS_S[0]
    stage.clock.advance(retries.RETRY_DELAYS_S[0])
    stage.step_until_rest()
    assert stage.said == ["1.1", "1.2", "1.1"]
    stage.clock.advance(retries.RETRY_DELAYS_S[1])
    stage.step_until_rest()
    assert stage.said == ["1.1", "1.2", "1.1", "1.1"]
    assert [tag for tag in stage.tags() if tag.startswith("callback")] == [
        "callback-failed/1",
        "callback-failed/1",
        "callback-recovered/1",
    ]


def test_a_callback_that_keeps_failing_is_skipped_and_that_is_recorded(begin: Begin) -> None:
    stage = begin("function OnStoredInstance() error('never') end")
    stage.store("1.1")
    for delay_s in (*retries.RETRY_DELAYS_S, 3600):
        stage.step_until_rest()
        stage.clock.advance(delay_s)
    stage.step_until_rest()
    failures = [tag for tag in stage.tags() if tag.startswith("callback")]
    assert failures == ["callback-failed/1"] * 3 + ["callback-skipped/1"]
    with stage.index.views.snapshot() as snapshot:
        assert list(list_waiting(snapshot)) == []


def test_what_waits_to_be_called_again_outlives_the_process(begin: Begin) -> None:
    stage = begin("function OnStoredInstance() error('no') end")
    stage.store("1.1")
    stage.step_until_rest()
    stage.load("function OnStoredInstance(id, tags) say('at last', tags.SOPInstanceUID) end")
    stage.clock.advance(retries.RETRY_DELAYS_S[0])
    stage.step_until_rest()
    assert stage.said == ["at last 1.1"]


def test_after_one_death_a_callback_is_called_again_at_once(begin: Begin) -> None:
    script = "function OnStoredInstance(id, tags) say(tags.SOPInstanceUID) end"
    stage = begin(script)
    for name in ("1.1", "1.2"):
        stage.store(name)
    stage.board.begin(1, 0)  # its process dies now
    stage.load(script)
    stage.step_until_rest()
    assert stage.said == ["1.1", "1.2"]


@pytest.mark.parametrize("was_killed", [False, True])
def test_a_callback_that_kills_its_process_is_a_failure(begin: Begin, *, was_killed: bool) -> None:
    script = "function OnStoredInstance(id, tags) say(tags.SOPInstanceUID) end"
    stage = begin(script)
    for name in ("1.1", "1.2"):
        stage.store(name)
    stage.board.begin(1, 0, deaths=0 if was_killed else 1)
    if was_killed:
        stage.board.mark_killed("OnStoredInstance")
    stage.load(script)
    stage.step_until_rest()
    assert stage.said == ["1.2"]
    assert stage.tags().count("callback-failed/1") == 1
    stage.clock.advance(retries.RETRY_DELAYS_S[0])
    stage.step_until_rest()
    assert stage.said == ["1.2", "1.1"]


def test_on_a_full_disk_nothing_is_lost_and_no_chain_is_doubled(begin: Begin) -> None:
    stage = begin("function OnStoredInstance(id) Delete(id) say('called') end")
    for name in ("1.1", "1.2", "1.3"):
        stage.store(name)
    stage.disk.is_full = True
    assert stage.step_until_rest() == deliverer.AGAIN_S
    assert stage.step_until_rest() == deliverer.AGAIN_S
    stage.disk.is_full = False
    stage.step_until_rest()
    assert stage.said == ["called"] * 3
    assert stage.tags().count("job-submitted/1") == 3


def test_the_heart_beats(begin: Begin) -> None:
    stage = begin("")
    stage.load("function OnHeartBeat() say('beat') end", heart_beat_s=5)
    assert stage.step_until_rest() == 5
    stage.clock.advance(5)
    stage.step_until_rest()
    stage.clock.advance(4)
    assert stage.step_until_rest() == 1
    stage.clock.advance(1)
    stage.step_until_rest()
    assert stage.said == ["beat", "beat"]


def test_an_error_of_the_heart_beat_is_recorded_and_not_repeated(begin: Begin) -> None:
    stage = begin("")
    stage.load("function OnHeartBeat() error('weak') end", heart_beat_s=5)
    stage.clock.advance(5)
    stage.step_until_rest()
    assert stage.tags().count("callback-failed/1") == 1
    with stage.index.views.snapshot() as snapshot:
        assert list(list_waiting(snapshot)) == []


def test_a_start_goes_on_from_the_cursor(begin: Begin) -> None:
    stage = begin("")
    stage.store("1.1")
    stage.store("1.2")
    stage.index.ask(SaveCursor(consumer=CONSUMER, seq=4))  # type: ignore[arg-type]  # a Seq
    stage.load("function OnStoredInstance(id, tags) say(tags.SOPInstanceUID) end")
    stage.step_until_rest()
    assert stage.said == ["1.2"]


# -- who listens to what ------------------------------------------------------------------------------------------------


def has_cursor(stage: Stage) -> bool:
    with stage.index.views.snapshot() as snapshot:
        return snapshot.row(CURSORS, CONSUMER.encode()) is not None


@pytest.mark.parametrize(
    "script",
    [
        "",
        "-- a comment",
        "function IncomingHttpRequestFilter() end",
        "function OnHeartBeat() end",
        "OnStoredInstance = 1",
    ],
)
def test_where_no_callback_listens_nothing_is_read_watched_or_kept(begin: Begin, script: str) -> None:
    stage = begin(script)
    stage.index.ask(SaveCursor(consumer=CONSUMER, seq=Seq(0)))  # of a start, which knows nothing of scripts yet
    stage.load(script)
    stage.store("1.1")
    assert stage.step_until_rest() is None
    assert stage.watched == []
    assert not has_cursor(stage)


@pytest.mark.parametrize("script", ["", "function IncomingFindRequestFilter() end", "function OnStableStudy() end"])
def test_a_callback_that_is_defined_later_hears_of_what_happens_from_then_on(begin: Begin, script: str) -> None:
    stage = begin(script)
    stage.store("1.1")
    stage.step_until_rest()
    stage.define("function OnStoredInstance(id) say(id) end")
    later = stage.store("1.2")
    stage.step_until_rest()
    assert stage.said == [later]
    assert stage.cursor == stage.deliverer.position
    stage.define("OnStoredInstance = nil OnStableStudy = nil")
    stage.store("1.3")
    stage.step_until_rest()
    assert not has_cursor(stage)
    stage.define("function OnStoredInstance(id) say(id) end")
    last = stage.store("1.4")
    stage.step_until_rest()
    assert stage.said == [later, last]


def test_a_callback_that_is_defined_while_the_disk_is_full_misses_nothing(begin: Begin) -> None:
    stage = begin("")
    stage.store("1.1")
    stage.step_until_rest()
    stage.disk.is_full = True
    stage.define("function OnStoredInstance(id) say(id) end")
    stage.disk.is_full = False
    later = stage.store("1.2")
    stage.step_until_rest()
    assert stage.said == [later]
    assert has_cursor(stage)


@pytest.mark.parametrize("name", ["OnStableStudy", "OnDeletedSeries", "OnJobSuccess"])
def test_what_concerns_no_callback_is_passed_unread(begin: Begin, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = begin(f"function {name}(id) say(id) end")
    stage.step_until_rest()
    read: list[int] = []
    real = DeliveryReader.read

    def note(self: DeliveryReader, seq: Seq, *arguments: Any) -> Any:
        read.append(seq)
        return real(self, seq, *arguments)

    monkeypatch.setattr(DeliveryReader, "read", note)
    assert InstanceStored.TAG not in stage.tags_watched
    for place in range(20):
        stage.store(f"1.{place}")
    end = len(stage.tags())
    stage.deliverer.on_passed(Seq(end), stage.tags_watched)
    stage.step_until_rest()
    stage.clock.advance(10)
    stage.step_until_rest()
    assert read == []
    assert stage.cursor == end  # so that no file waits for it


def test_what_was_passed_for_others_is_read_for_a_callback_that_is_new(begin: Begin) -> None:
    stage = begin("function OnStableStudy(id) say(id) end")
    stage.step_until_rest()
    watched = stage.tags_watched
    stage.define("function OnStoredInstance(id) say(id) end")
    stored = stage.store("1.1")
    stage.deliverer.on_passed(Seq(len(stage.tags())), watched)  # the answer to a question that is out of date
    stage.step_until_rest()
    assert stage.said == [stored]


# -- metadata -----------------------------------------------------------------------------------------------------------


def test_scripts_hear_of_metadata_and_see_their_bytes(begin: Begin) -> None:
    stage = begin("""
        function OnUpdatedInstance(id) say("updated", id) end
        function OnUpdatedPatient(id) say("updated", id) end
        function OnStoredInstance(id, tags, metadata) say(tostring(metadata.note:byte(1)), metadata["2000"]) end
    """)
    instance, patient = stage.store("1.1"), chain("P")
    resource = parse_resource_id(instance)
    assert resource is not None
    values = ((resource, 1024, b"\xffa"), (resource, 2000, b"b"), (patient, 1024, b""))
    for owner, number, value in values:
        stage.index.ask(SetMetadata(id=owner, number=number, value=value, correlation=b""))
    stage.index.ask(RemoveMetadata(id=patient, number=1024, correlation=b""))
    stage.step_until_rest()
    patients = [f"updated {format_resource_id(patient)}"] * 2
    assert stage.said == ["255 b", *[f"updated {instance}"] * 2, *patients]
