"""A worker's slots: each takes a job, does its steps, and says what became of it.

Recording a step costs a commit. It is sent off when the step is done and waited for only when the next one is about to
have its effect (`settle`), so that both go on side by side and a crash still repeats one step at most.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actors.messages.job_orders import Order
from actors.messages.scheduler import AwaitOrders, EndRun, FailRun, GiveBack, Leave, RecordStep, TakeWork
from actors.services.jobs.operation import Factory, RunOver, Task, Workbench
from actors.services.scripts.errors import ScriptFailed
from actors.wire import metrics
from actors.wire.bridge.channel import Channel
from actors.wire.dicom.ending import log_fault
from actors.wire.errors import Interrupted, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from events.errors import Busy, DamagedFile, InvalidDicom, NotFound, SinogramError, StorageFailed, StorageFull
from events.identifiers import Ref
from store.disk_errors import translated
from store.projections.job_rows import JobState
from store.views.jobs import get_job, get_plan
from store.views.views import Views

log = logging.getLogger(__name__)

AGAIN_S = 1.0  # before a slot asks for work again that could not ask
INTERNAL_ERROR = -1
# Orthanc's numbers of what can go wrong here; a remote's errors bring their own.
_CODES: dict[type[SinogramError], int] = {
    NotFound: 17,
    InvalidDicom: 15,
    StorageFailed: 14,
    StorageFull: 19,
    DamagedFile: 20,
    Busy: 36,
    ScriptFailed: 2031,
}
LastWord = EndRun | FailRun | GiveBack
_ENDS = {EndRun: "end", FailRun: "fail", GiveBack: "release"}  # as a metric calls them
_NO_STEP = (-1, 0)  # a job may have no steps left to do


class _Checkpoints:
    """The steps of one run that are done: at most one of them on its way to the log."""

    def __init__(self, channel: Channel, task: Task) -> None:
        self._channel = channel
        self._task = task
        self._answer: Callable[[], Any] | None = None

    def record(self, step: int, code: int) -> None:
        self.settle()
        self._answer = self._channel.begin(RecordStep(self._task.job, self._task.run, step, code))

    def settle(self) -> None:
        """Wait until the recorded step is durable. Raises RunOver if the run has ended by then."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer():
            raise RunOver


@dataclass(slots=True)
class ActiveRun:
    """What other threads may say to a run."""

    interruption: Interruption
    must_stop: bool = False  # after this step
    is_timed_out: bool = False

    def check(self) -> None:
        """Raise RunOver if no further step is to be begun."""
        if self.must_stop:
            raise RunOver

    def obey(self, order: Order) -> None:
        self.must_stop = True
        self.is_timed_out = order is Order.TIMEOUT
        if order.is_urgent:
            self.interruption.interrupt()


class Runner:
    """The slots of one worker process. Thread-safe."""

    def __init__(
        self,
        process: str,
        channel: Channel,
        views: Views,
        find_operation: Callable[[str], Factory | None],
        workbench: Callable[[Interruption], Workbench],
        *,
        slots: int,
    ) -> None:
        """`find_operation` is asked with the type of each job: a worker without work imports none."""
        self._process = process
        self._channel = channel
        self._views = views
        self._find_operation = find_operation
        self._workbench = workbench
        self._active: dict[tuple[Ref, int], ActiveRun] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._is_stopping = False
        self._stopped = threading.Event()
        names = [f"{process}#{number}" for number in range(1, slots + 1)]
        self._slots = [threading.Thread(target=self._serve, args=(name,), name=name, daemon=True) for name in names]
        self._listener = threading.Thread(target=self._listen, name=f"{process} control", daemon=True)

    def start(self) -> None:
        for thread in (*self._slots, self._listener):
            thread.start()

    def stop(self, patience_s: float) -> None:
        """Give back the running jobs: after their present steps, or during them if these take long.

        Slots that wait for work are told that there is none.
        """
        with self._lock:
            self._is_stopping = True
            self._stopped.set()
            active = list(self._active.values())
            for run in active:
                run.must_stop = True
        with contextlib.suppress(Busy):
            self._channel.request(Leave(self._process))
        if self._wait_until_idle(patience_s):
            return
        for run in active:
            run.interruption.interrupt()
        self._wait_until_idle(patience_s)

    def _wait_until_idle(self, patience_s: float) -> bool:
        with self._idle:
            return self._idle.wait_for(lambda: not self._active, patience_s)

    def join(self) -> None:
        """Wait for the threads to end, once the channel is closed."""
        for thread in (*self._slots, self._listener):
            thread.join()

    # -- orders -------------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        with contextlib.suppress(Busy):  # the server stops
            while True:
                for job, number, order in self._channel.request(AwaitOrders(self._process)):
                    with self._lock:
                        run = self._active.get((Ref(job), number))
                    if run is not None:
                        run.obey(Order(order))

    # -- work ---------------------------------------------------------------------------------------------------------

    def _serve(self, slot: str) -> None:
        while not self._is_stopping:
            try:
                job, number = self._channel.request(TakeWork(slot))
                self._take(Ref(job), number)
            except (
                Busy
            ):  # the server stops; or, for example, there was no descriptor for the question, and there will be
                self._stopped.wait(AGAIN_S)

    def _take(self, job: Ref, number: int) -> None:
        run = ActiveRun(Interruption())
        with self._lock:
            run.must_stop = self._is_stopping
            self._active[job, number] = run
        try:
            last_word = self._work(job, number, run)
            metrics.JOB_RUNS.add(1, _ENDS[type(last_word)])
            self._say_last(job, number, last_word)
        finally:  # not before the last message is answered: a stop that waits for us to be idle closes the channel then
            with self._idle:
                del self._active[job, number]
                self._idle.notify_all()

    def _say_last(self, job: Ref, number: int, last_word: LastWord) -> None:
        try:
            self._channel.request(last_word)
        except Busy:
            raise
        except Exception as exc:  # noqa: BLE001 # a result that cannot be recorded, say; unsaid, the job would run for ever
            log_fault(f"jobs.unspeakable job={job}", exc)
            self._channel.request(_failure(job, number, Trouble.FINAL, INTERNAL_ERROR, "Internal error"))

    def _work(self, job: Ref, number: int, run: ActiveRun) -> LastWord:
        """Carry out a run; returns what the scheduler is to be told of its end."""
        given_back = GiveBack(job, number)
        try:
            return self._do_steps(self._read(job, number), run)
        except RunOver:
            return given_back
        except Interrupted:
            if run.is_timed_out:
                return _failure(job, number, Trouble.TIMEOUT, 9, "A step took longer than its limit")
            return given_back
        except RemoteFailed as exc:
            return _failure(job, number, exc.trouble, exc.code, exc.details)
        except SinogramError as exc:
            trouble = Trouble.BUSY if isinstance(exc, Busy) else Trouble.FINAL
            code = next((_CODES[kind] for kind in type(exc).__mro__ if kind in _CODES), INTERNAL_ERROR)
            return _failure(job, number, trouble, code, str(exc))
        except OSError as exc:  # a remote's come as RemoteFailed
            failed = translated(exc, "a file")
            log.error("jobs.disk-fails job=%d: %s", job, failed)
            return _failure(job, number, Trouble.FINAL, _CODES[type(failed)], str(failed))
        except Exception as exc:  # noqa: BLE001 # a defect must not take the other slots with it
            log_fault(f"jobs.defect job={job}", exc)
            return _failure(job, number, Trouble.FINAL, INTERNAL_ERROR, "Internal error")

    def _read(self, ref: Ref, number: int) -> Task:
        with self._views.snapshot() as snapshot:
            job, plan = get_job(snapshot, ref), get_plan(snapshot, ref)
        if job is None or plan is None:  # forgotten, or erased from the log
            raise RunOver
        if (
            job.progress.run != number or job.progress.state is not JobState.Running
        ):  # on its way here it was called off
            raise RunOver
        return Task(
            job=ref,
            id=job.id,
            run=number,
            type=job.type,
            priority=job.priority,
            steps=job.steps,
            position=job.progress.position,
            plan=plan.values,
            correlation=plan.correlation,
        )

    def _do_steps(self, task: Task, run: ActiveRun) -> LastWord:
        factory = self._find_operation(task.type)
        if factory is None:
            return _failure(task.job, task.run, Trouble.FINAL, 2, f"This release has no jobs of type {task.type}")
        checkpoints = _Checkpoints(self._channel, task)
        done: tuple[int, int] | None = None
        try:
            with factory(task, self._workbench(run.interruption)) as operation:
                for step in range(task.position, task.steps):
                    run.check()
                    if done is not None:
                        checkpoints.record(*done)
                        done = None
                    done = (step, operation.run_step(step, checkpoints.settle))
                    metrics.JOB_STEPS.add()
                checkpoints.settle()
                return EndRun(task.job, task.run, *(done or _NO_STEP), operation.result())
        except BaseException:
            # Steps that are done are recorded however the run ended, so that the next one does not repeat them.
            with contextlib.suppress(RunOver):
                checkpoints.settle()
                if done is not None:
                    checkpoints.record(*done)
                    checkpoints.settle()
            raise


def _failure(job: Ref, number: int, trouble: Trouble, code: int, details: str) -> FailRun:
    return FailRun(job, number, trouble.value, code, details)
