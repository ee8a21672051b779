"""The engine as a whole: index, scheduler and runners as the server has them, with operations made for the test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

import pytest

from actors.messages.job_states import Word
from actors.messages.jobs_client import JobsClient
from actors.messages.scheduler import TakeWork
from actors.services.jobs.operation import Task
from actors.services.jobs.runner import Runner
from actors.wire.bridge.channel import Channel, open_local_channel
from actors.wire.errors import Interrupted, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from events.errors import Busy, NotFound
from events.identifiers import Ref
from store.projections.job_rows import Job, JobState
from store.views.jobs import get_error_details, get_job, get_result
from tests.fault.servers import wait_for
from tools.server.core import Core

PATIENCE_S = 40.0


@dataclass
class Script:
    """What the operations of a test do, and what they did."""

    on_step: Callable[[Task, int, Interruption], int] = lambda _task, _step, _interruption: 0
    done: list[tuple[Ref, int, int]] = field(default_factory=list)  # job, run, step
    closed: list[Ref] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)  # besides what it says anyway


class ScriptedOperation:
    def __init__(self, script: Script, task: Task, interruption: Interruption) -> None:
        self._script = script
        self._task = task
        self._interruption = interruption

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._script.closed.append(self._task.job)

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        settle()
        code = self._script.on_step(self._task, step, self._interruption)
        self._script.done.append((self._task.job, self._task.run, step))
        return code

    def result(self) -> dict[str, Any]:
        return {"Steps": self._task.steps, **self._script.result}


@dataclass
class Engine:
    core: Core
    script: Script
    jobs: JobsClient

    def submit(self, steps: int = 3, *, attempts: int = 1, priority: int = 0, kind: str = "Test") -> Ref:
        return self.jobs.submit(kind, {}, steps=steps, attempts=attempts, priority=priority)[0]

    def job(self, ref: Ref) -> Job:
        with self.core.views.snapshot() as snapshot:
            found = get_job(snapshot, ref)
        assert found is not None
        return found

    def control(self, ref: Ref, word: Word) -> bool:
        return self.jobs.control(self.job(ref).id, word)


@contextmanager
def workers(core: Core, script: Script, process: str, slots: int, channel: Channel | None = None) -> Iterator[Channel]:
    channel = channel or open_local_channel(core.jobs.on_request)
    runner = Runner(
        process,
        channel,
        core.views,
        {"Test": lambda task, bench: ScriptedOperation(script, task, bench.interruption)}.get,
        lambda interruption: SimpleNamespace(interruption=interruption),  # type: ignore[arg-type,return-value]
        slots=slots,
    )
    runner.start()
    try:
        yield channel
    finally:
        runner.stop(PATIENCE_S)
        channel.close()
        runner.join()


@pytest.fixture
def engine(archive: Core) -> Iterator[Engine]:
    """An engine with two slots."""
    script = Script()
    channel = open_local_channel(archive.jobs.on_request)
    with workers(archive, script, "worker-1/1", 2):
        yield Engine(archive, script, JobsClient(archive.index.ask, channel.request))
    channel.close()


class Gate:
    """Holds steps until the test lets them go on."""

    def __init__(self) -> None:
        self.reached = threading.Semaphore(0)
        self._waiting: list[threading.Event] = []
        self._is_open = False
        self._lock = threading.Lock()

    def __call__(self, _task: Task, _step: int, interruption: Interruption) -> int:
        woken = threading.Event()
        with self._lock:
            self._waiting.append(woken)
            if self._is_open:
                woken.set()
        self.reached.release()
        with interruption.watch(woken.set):
            assert woken.wait(PATIENCE_S)
        if interruption.is_set:
            raise Interrupted
        return 0

    def open(self) -> None:
        with self._lock:
            self._is_open = True
            for woken in self._waiting:
                woken.set()


def test_a_job_does_its_steps_in_order_and_succeeds_with_a_result(engine: Engine) -> None:
    ref = engine.submit(4)
    progress = engine.jobs.wait(ref)
    assert progress.state is JobState.Success
    assert progress.position == 4
    assert engine.script.done == [(ref, 1, step) for step in range(4)]
    with engine.core.views.snapshot() as snapshot:
        assert get_result(snapshot, engine.job(ref)) == {"Steps": 4}
    assert engine.script.closed == [ref]


def test_a_job_without_steps_succeeds(engine: Engine) -> None:
    assert engine.jobs.wait(engine.submit(0)).state is JobState.Success


def test_who_waits_for_a_job_that_has_ended_is_answered_at_once(engine: Engine) -> None:
    ref = engine.submit(1)
    assert engine.jobs.wait(ref) == engine.jobs.wait(ref)
    with pytest.raises(NotFound):
        engine.jobs.wait(Ref(10**9))


def test_an_error_ends_the_job_with_its_number_and_words(engine: Engine) -> None:
    def fail(_task: Task, step: int, _interruption: Interruption) -> int:
        if step == 1:
            raise RemoteFailed("the remote said no", code=2015, trouble=Trouble.FINAL)
        return 0

    engine.script.on_step = fail
    ref = engine.submit(3)
    progress = engine.jobs.wait(ref)
    assert (progress.state, progress.code, progress.position) == (JobState.Failure, 2015, 1)
    with engine.core.views.snapshot() as snapshot:
        assert get_error_details(snapshot, engine.job(ref)) == "the remote said no"


def test_errors_that_a_permissive_job_passes_over_are_counted(engine: Engine) -> None:
    engine.script.on_step = lambda _task, step, _interruption: 17 if step == 1 else 0
    progress = engine.jobs.wait(engine.submit(3))
    assert (progress.state, progress.failed) == (JobState.Success, 1)


def test_a_type_that_nobody_knows_fails(engine: Engine) -> None:
    assert engine.jobs.wait(engine.submit(kind="Unheard")).state is JobState.Failure


def test_a_defect_in_an_operation_fails_its_job_alone(engine: Engine) -> None:
    def stumble(_task: Task, _step: int, _interruption: Interruption) -> int:
        raise ZeroDivisionError

    engine.script.on_step = stumble
    assert engine.jobs.wait(engine.submit()).code == -1
    engine.script.on_step = Script().on_step
    assert engine.jobs.wait(engine.submit()).state is JobState.Success


def test_the_text_of_a_defect_which_may_name_a_patient_is_not_logged(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    name = "DOE^JANE"  # not in the line that raises, which is logged

    def stumble(_task: Task, _step: int, _interruption: Interruption) -> int:
        raise ValueError(name)

    engine.script.on_step = stumble
    assert engine.jobs.wait(engine.submit()).code == -1
    assert "stumble" in caplog.text
    assert name not in caplog.text


def test_a_result_that_cannot_be_recorded_fails_its_job_alone(engine: Engine) -> None:
    """Else the job would run for ever, in nobody's hands, and its slot be lost."""
    engine.script.result = {"what no log can hold": object()}
    for _ in range(4):  # more than there are slots
        assert engine.jobs.wait(engine.submit()).code == -1
    engine.script.result = {}
    assert engine.jobs.wait(engine.submit()).state is JobState.Success


def test_a_job_that_was_called_off_on_its_way_to_a_worker_is_not_begun(archive: Core) -> None:
    script, channel = Script(), open_local_channel(archive.jobs.on_request)
    engine = Engine(archive, script, JobsClient(archive.index.ask, channel.request))
    ref = engine.submit()
    plain = channel.request

    def call_off(request: Any) -> Any:
        answer = plain(request)
        if isinstance(request, TakeWork) and answer[0] == ref:
            assert engine.control(ref, Word.CANCEL)
            assert engine.control(ref, Word.RESUBMIT)
            assert engine.control(ref, Word.PAUSE)
        return answer

    channel.request = call_off  # type: ignore[method-assign]
    with workers(archive, script, "worker-1/1", 1, channel):
        assert engine.jobs.wait(engine.submit(1)).state is JobState.Success
    assert ref not in [job for job, _, _ in script.done]
    assert engine.job(ref).progress.position == 0


def test_a_worker_that_stops_in_order_is_no_crash(archive: Core) -> None:
    """What it gives back is heard before its channel closes."""
    script, gate = Script(), Gate()
    script.on_step = gate
    channel = open_local_channel(archive.jobs.on_request)
    engine = Engine(archive, script, JobsClient(archive.index.ask, channel.request))
    refs = [engine.submit(2), engine.submit(2)]
    with workers(archive, script, "worker-1/1", 2):
        for _ in refs:
            assert gate.reached.acquire(timeout=PATIENCE_S)
        gate.open()
    archive.jobs.on_gone("worker-1/1")
    archive.client.save_cursor("test", engine.job(refs[0]).progress.last)  # behind what the scheduler may have sent
    assert [engine.job(ref).progress.crashes for ref in refs] == [0, 0]
    channel.close()


def test_cancel_breaks_a_step_off_and_frees_the_slot(engine: Engine) -> None:
    gate = engine.script.on_step = Gate()
    stuck = [engine.submit(2), engine.submit(2)]
    for _ in stuck:
        assert gate.reached.acquire(timeout=PATIENCE_S)
    assert engine.control(stuck[0], Word.CANCEL)
    assert engine.jobs.wait(stuck[0]).state is JobState.Failure
    engine.script.on_step = Script().on_step
    assert engine.jobs.wait(engine.submit()).state is JobState.Success
    assert engine.job(stuck[1]).progress.state is JobState.Running
    assert engine.control(stuck[1], Word.CANCEL)


def test_pause_lets_the_step_finish_and_resume_goes_on_with_the_next(engine: Engine) -> None:
    gate = engine.script.on_step = Gate()
    ref = engine.submit(3)
    assert gate.reached.acquire(timeout=PATIENCE_S)
    assert engine.control(ref, Word.PAUSE)
    assert engine.job(ref).progress.state is JobState.Paused
    gate.open()
    assert engine.control(ref, Word.RESUME)
    assert engine.jobs.wait(ref).state is JobState.Success
    assert [step for _, _, step in engine.script.done] == [0, 1, 2]


@pytest.mark.parametrize(
    ("attempts", "ends_in", "steps"), [(1, JobState.Failure, [0]), (2, JobState.Success, [0, 1, 2])]
)
def test_an_error_that_may_pass_is_tried_again_from_the_checkpoint_as_often_as_the_job_may(
    engine: Engine, attempts: int, ends_in: JobState, steps: list[int]
) -> None:
    failures = iter([True])

    def fail_once(_task: Task, step: int, _interruption: Interruption) -> int:
        if step == 1 and next(failures, False):
            raise RemoteFailed("no route", code=9, trouble=Trouble.UNREACHABLE)
        return 0

    engine.script.on_step = fail_once
    assert engine.jobs.wait(engine.submit(3, attempts=attempts)).state is ends_in
    assert [step for _, _, step in engine.script.done] == steps


def test_the_higher_priority_goes_first_and_equals_in_order(archive: Core) -> None:
    script, channel = Script(), open_local_channel(archive.jobs.on_request)
    engine = Engine(archive, script, JobsClient(archive.index.ask, channel.request))
    refs = {priority: engine.submit(1, priority=priority) for priority in (0, 5, -3)}
    late = engine.submit(1, priority=5)
    with workers(archive, script, "worker-1/1", 1):
        for ref in (*refs.values(), late):
            engine.jobs.wait(ref)
    channel.close()
    assert [job for job, _, _ in script.done] == [refs[5], late, refs[0], refs[-3]]


def test_a_worker_that_is_gone_leaves_its_job_to_another(archive: Core) -> None:
    script, gate = Script(), Gate()
    script.on_step = lambda task, step, interruption: gate(task, step, interruption) if step == 1 else 0
    channel = open_local_channel(archive.jobs.on_request)
    engine = Engine(archive, script, JobsClient(archive.index.ask, channel.request))
    with workers(archive, script, "worker-1/1", 1):
        ref = engine.submit(3)
        assert gate.reached.acquire(timeout=PATIENCE_S)
        archive.jobs.on_gone("worker-1/1")  # as the bridge says of a process that was killed
        with workers(archive, script, "worker-2/2", 1):
            assert gate.reached.acquire(timeout=PATIENCE_S)
            gate.open()
            progress = engine.jobs.wait(ref)
    channel.close()
    assert progress.state is JobState.Success
    second = [step for job, run, step in script.done if run == 2]
    assert second == [1, 2], "the step in flight is repeated, what was recorded is not"


def test_a_job_that_kills_its_worker_each_time_fails_and_others_go_on(archive: Core) -> None:
    channel = open_local_channel(archive.jobs.on_request)
    jobs = JobsClient(archive.index.ask, channel.request)
    killer, _ = jobs.submit("Test", {}, steps=1, attempts=1)
    for number in range(3):
        process = f"worker-1/{number}"
        assert channel.request(TakeWork(f"{process}#1"))[0] == killer
        archive.jobs.on_gone(process)
    assert jobs.wait(killer).state is JobState.Failure
    with workers(archive, Script(), "worker-1/9", 1):
        assert jobs.wait(jobs.submit("Test", {}, steps=1, attempts=1)[0]).state is JobState.Success
    channel.close()


def test_jobs_go_on_after_a_restart_where_they_were(archive_factory: Callable[..., Core]) -> None:
    core, script, gate = archive_factory(), Script(), Gate()
    script.on_step = lambda task, step, interruption: gate(task, step, interruption) if step == 2 else 0
    channel = open_local_channel(core.jobs.on_request)
    ref, _ = JobsClient(core.index.ask, channel.request).submit("Test", {}, steps=4, attempts=1)
    runner = threading.Thread(target=_stop_when_stuck, args=(core, script, gate))
    runner.start()
    runner.join()
    channel.close()
    core.stop()
    core, script = archive_factory(), Script()
    channel = open_local_channel(core.jobs.on_request)
    with workers(core, script, "worker-1/1", 1):
        assert JobsClient(core.index.ask, channel.request).wait(ref).state is JobState.Success
    channel.close()
    assert [step for _, _, step in script.done] == [2, 3]


def _stop_when_stuck(core: Core, script: Script, gate: Gate) -> None:
    channel = open_local_channel(core.jobs.on_request)
    runner = Runner(
        "worker-1/1",
        channel,
        core.views,
        {"Test": lambda task, bench: ScriptedOperation(script, task, bench.interruption)}.get,
        lambda interruption: SimpleNamespace(interruption=interruption),  # type: ignore[arg-type,return-value]
        slots=1,
    )
    runner.start()
    assert gate.reached.acquire(timeout=PATIENCE_S)
    runner.stop(0.01)  # the step does not end by itself: it is broken off, and the job given back
    channel.close()
    runner.join()


def test_completed_jobs_beyond_the_history_are_forgotten(engine: Engine) -> None:
    refs = [engine.submit(1) for _ in range(13)]
    for ref in refs:
        engine.jobs.wait(ref)
    engine.jobs.wait(engine.submit(1))

    def kept() -> list[Ref]:
        with engine.core.views.snapshot() as snapshot:
            return [ref for ref in refs if get_job(snapshot, ref) is not None]

    wait_for(lambda: len(kept()) == 9, "all but the last ten to be forgotten")


def test_who_waits_when_the_channel_closes_hears_that_the_server_stops(archive: Core) -> None:
    channel = open_local_channel(archive.jobs.on_request)
    jobs = JobsClient(archive.index.ask, channel.request)
    ref, _ = jobs.submit("Test", {}, steps=1, attempts=1)
    heard: list[Exception] = []

    def wait() -> None:
        try:
            jobs.wait(ref)
        except Busy as exc:
            heard.append(exc)

    waiting = threading.Thread(target=wait)
    waiting.start()
    channel.close()
    waiting.join(PATIENCE_S)
    assert len(heard) == 1
