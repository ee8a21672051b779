"""The scheduler: hands jobs to workers, hears what became of them, and wakes who waits for them.

Owns nothing that a restart needs: how each job stands is in the read models, and the index alone decides what a command
does to it. What is decided here is only who does what (`actors.core.jobs.dispatch`), and whether an error is worth another
try (`actors.messages.job_retries`). Is told by the index how jobs stand after each commit; asks the index without waiting. What a
full disk refuses is asked for again until there is room: a run's end is known here alone.

Workers and clients reach it with the requests of `actors.messages.scheduler`, whose replies may come much later.
"""

import logging
import time
from collections.abc import Callable
from itertools import chain
from typing import Any, assert_never

from actors.core.actor import CoreActor, tell
from actors.core.alarm import Alarm
from actors.core.jobs.dispatch import Dispatch, Now, Run, process_of
from actors.core.jobs.messages import (
    Asked,
    Gone,
    JobsChanged,
    LeftRunning,
    Refused,
    Ring,
    SchedulerMessage,
    Started,
    Submit,
    Trimmed,
    log_refusal,
)
from actors.core.jobs.settings import SchedulerSettings
from actors.messages.commands.command import Command
from actors.messages.commands.jobs import EndJob, FailJob, FinishJobStep, InterruptJob, StartJob, TrimJobs
from actors.messages.job_retries import decide
from actors.messages.job_types import strategy_of
from actors.messages.scheduler import (
    AwaitEnd,
    AwaitOrders,
    EndRun,
    FailRun,
    GiveBack,
    Leave,
    RecordStep,
    SchedulerRequest,
    TakeWork,
)
from actors.wire.errors import Trouble
from actors.wire.reply import Reply, stopping
from events.errors import NotFound, SinogramError, StorageFailed, StorageFull
from events.identifiers import Ref
from store.projections.job_rows import Job
from store.projections.jobs import COMPLETED, count_completed
from store.tables import TOTALS
from store.views.jobs import get_job
from store.views.views import Views

logger = logging.getLogger(__name__)

INSIST_S = 5.0  # between two tries to have something written to a full disk


class Scheduler(CoreActor):
    """See the module's text."""

    def __init__(
        self,
        submit: Submit,
        views: Views,
        settings: SchedulerSettings,
        *,
        clock: Callable[[], int],
        kill: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives UTC in microseconds; `kill` ends a worker's process that does not obey."""
        super().__init__()
        self._submit = submit
        self._views = views
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._kill = kill
        self._dispatch = Dispatch(settings.concurrent_jobs)
        self._nexts: dict[str, Reply] = {}  # slots that wait for work
        self._controls: dict[str, Reply] = {}  # processes that wait for orders
        self._orders: dict[str, list[list[Any]]] = {}  # of processes that are not listening just now
        self._leaving: set[str] = set()  # processes that stop in order
        self._waiters: dict[Ref, list[Reply]] = {}
        self._refused: list[Refused] = []
        self._insists_at_s = 0.0  # when these are tried again
        self._is_trimming = False
        self._alarm = Alarm("jobs-alarm", lambda: tell(self.actor_ref, Ring()), monotonic)

    def on_stop(self) -> None:
        self._alarm.stop()
        waiters = chain.from_iterable(self._waiters.values())
        for reply in chain(self._nexts.values(), self._controls.values(), waiters):
            reply(None, stopping())

    def on_message(self, message: SchedulerMessage) -> None:
        now = Now(self._clock(), self._monotonic())
        match message:
            case Asked(request, reply):
                self._on_request(request, reply)
            case JobsChanged(jobs):
                self._on_jobs(jobs, now)
            case Started():
                self._on_started(message, now)
            case Refused():
                self._refused.append(message)
                self._insists_at_s = now.monotonic_s + INSIST_S
            case LeftRunning():
                self._interrupt(message.job, message.run, is_crash=message.is_crash)
            case Gone():
                self._on_gone(message.process)
            case Trimmed():
                self._is_trimming = False
                if message.is_done:  # and jobs that have ended since
                    self._trim()
            case Ring():
                pass  # see below
            case _:
                assert_never(message)
        self._advance(now)

    # -- news ---------------------------------------------------------------------------------------------------------

    def _on_jobs(self, jobs: list[Job], now: Now) -> None:
        for job in jobs:
            self._dispatch.on_job(job, now)
            if job.progress.state.is_completed:
                for reply in self._waiters.pop(job.ref, []):
                    reply(job.progress.pack(), None)
        if any(job.progress.state.is_completed for job in jobs):
            self._trim()

    def _trim(self) -> None:
        with self._views.snapshot() as snapshot:
            completed = count_completed(snapshot.row(TOTALS, COMPLETED))
        if completed > self._settings.history_size and not self._is_trimming:
            self._is_trimming = True
            self._submit(TrimJobs(keep=self._settings.history_size), self._note_trim)

    def _note_trim(self, result: Any, error: SinogramError | None) -> None:
        log_refusal(result, error)
        tell(self.actor_ref, Trimmed(is_done=error is None))

    def _on_gone(self, process: str) -> None:
        self._controls.pop(process, None)
        self._orders.pop(process, None)
        self._leaving.discard(process)
        for slot in [slot for slot in self._nexts if process_of(slot) == process]:
            del self._nexts[slot]
        for run in self._dispatch.on_gone(process):
            logger.warning("jobs.worker-gone process=%s job=%d", process, run.job)
            if run.number:  # else its start is not recorded yet; once it is, no worker is there to take it
                self._interrupt(run.job, run.number, is_crash=True)

    def _interrupt(self, job: Ref, run: int, *, is_crash: bool) -> None:
        self._insist((InterruptJob(job=job, run=run, is_crash=is_crash),), log_refusal)

    def _on_started(self, message: Started, now: Now) -> None:
        run = message.run
        if self._dispatch.on_started(run, message.number, now):
            self._nexts.pop(run.slot)([run.job, run.number], None)
        elif message.number is not None:
            self._interrupt(run.job, message.number, is_crash=False)  # no step was begun

    # -- requests -----------------------------------------------------------------------------------------------------

    def _on_request(self, request: SchedulerRequest, reply: Reply) -> None:
        match request:
            case TakeWork(slot=slot) if process_of(slot) in self._leaving:
                reply(None, stopping())
            case TakeWork(slot=slot):
                lost = self._dispatch.on_free(slot)
                if lost is not None and lost.number:
                    self._interrupt(lost.job, lost.number, is_crash=True)
                self._nexts[slot] = reply
            case AwaitOrders(process=process):
                self._listen(process, reply)
            case Leave(process=process):
                self._part_with(process)
                reply(True, None)
            case AwaitEnd(job=job):
                self._wait(Ref(job), reply)
            case RecordStep():
                self._insist((step_of(request),), reply)
            case EndRun(job=job, run=run):
                self._dispatch.on_over(Ref(job), run)
                end = EndJob(job=Ref(job), run=run, result=request.result)
                self._insist((step_of(request), end) if request.step >= 0 else (end,), reply)  # a job may have no steps
            case FailRun():
                self._dispatch.on_over(Ref(request.job), request.run)
                self._fail(request, reply)
            case GiveBack(job=job, run=run):
                self._dispatch.on_over(Ref(job), run)
                self._insist((InterruptJob(job=Ref(job), run=run, is_crash=False),), reply)
            case _:
                assert_never(request)

    def _part_with(self, process: str) -> None:
        """Hand no more work to a process: once it has closed its channel, the work would get lost and count as a crash."""
        self._leaving.add(process)
        self._dispatch.on_leaving(process)
        for slot in [slot for slot in self._nexts if process_of(slot) == process]:
            self._nexts.pop(slot)(None, stopping())

    def _listen(self, process: str, reply: Reply) -> None:
        orders = self._orders.pop(process, None)
        if orders:
            reply(orders, None)
        else:
            self._controls[process] = reply

    def _wait(self, ref: Ref, reply: Reply) -> None:
        with self._views.snapshot() as snapshot:
            job = get_job(snapshot, ref)
        if job is None:
            reply(None, NotFound("no such job"))
        elif job.progress.state.is_completed:
            reply(job.progress.pack(), None)
        else:
            self._waiters.setdefault(ref, []).append(reply)

    def _fail(self, failed: FailRun, reply: Reply) -> None:
        ref = Ref(failed.job)
        with self._views.snapshot() as snapshot:
            job = get_job(snapshot, ref)
        if job is None:
            reply(False, None)
            return
        trouble = Trouble(failed.trouble)
        again = decide(strategy_of(job.type), trouble, tries=job.progress.tries, attempts=job.attempts)
        delay_ms = None if again is None else again.delay_ms
        command = FailJob(job=ref, run=failed.run, code=failed.code, details=failed.details, delay_ms=delay_ms)
        self._insist((command,), reply)

    # -- what follows -------------------------------------------------------------------------------------------------

    def _advance(self, now: Now) -> None:
        if self._refused and now.monotonic_s >= self._insists_at_s:
            refused, self._refused = self._refused, []
            for one in refused:
                self._insist(one.commands, one.reply)
        while (run := self._dispatch.start(now)) is not None:
            self._insist((StartJob(job=run.job),), self._note_start(run))
        for run, order in self._dispatch.orders(now):
            self._orders.setdefault(run.process, []).append([run.job, run.number, order.value])
        for process in [process for process in self._orders if process in self._controls]:
            self._controls.pop(process)(self._orders.pop(process), None)
        for process in self._dispatch.overdue(now):
            logger.error("jobs.worker-killed process=%s: it does not give a job back", process)
            self._kill(process)
        pause_s = self._dispatch.pause_s(now)
        moments = [self._insists_at_s] if self._refused else []
        if pause_s is not None:
            moments.append(now.monotonic_s + pause_s)
        self._alarm.set(min(moments, default=None))

    def _insist(self, commands: tuple[Command, ...], reply: Reply) -> None:
        """Carry out commands, when there is room for them; `reply` gets the result of the last one, once."""
        answers: list[tuple[Any, SinogramError | None]] = []

        def take(result: Any, error: SinogramError | None) -> None:
            answers.append((result, error))
            if len(answers) < len(commands):
                return
            if any(isinstance(refusal, StorageFull | StorageFailed) for _, refusal in answers):
                tell(self.actor_ref, Refused(commands, reply))
            else:
                reply(*answers[-1])

        for command in commands:
            self._submit(command, take)

    def _note_start(self, run: Run) -> Reply:
        def note(number: Any, error: SinogramError | None) -> None:
            log_refusal(number, error)
            if error is None:
                tell(self.actor_ref, Started(run, number))
            else:  # not at once: what fails now would fail again, as fast as the index can say so
                tell(self.actor_ref, Refused((StartJob(job=run.job),), note))

        return note


def step_of(request: RecordStep | EndRun) -> FinishJobStep:
    return FinishJobStep(job=Ref(request.job), run=request.run, step=request.step, code=request.code)
