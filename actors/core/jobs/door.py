"""The way to the scheduler for the bridge, the index and whoever starts the server."""

from typing import Any

import pykka

from actors.core.jobs.messages import Gone, LeftRunning, Reply, Request, Submit, Trimmed, log_refusal, tell
from actors.core.jobs.scheduler import Scheduler
from actors.messages.commands.jobs import ControlJob, FinishJobStep, TrimJobs
from actors.messages.job_states import Word
from events.errors import Busy
from events.identifiers import Ref
from store.projections.job_rows import Job, JobState
from store.views.jobs import list_jobs
from store.views.views import Views


class SchedulerDoor:
    """How the bridge, the index and this process reach the scheduler. Thread-safe; nothing here blocks."""

    def __init__(self, actor: pykka.ActorRef[Scheduler], submit: Submit) -> None:
        self._actor = actor
        self._submit = submit

    def on_request(self, values: list[Any], reply: Reply) -> None:
        if values[0] == "step":  # the hot one: straight to the index
            _, job, run, step, code = values
            self._submit(FinishJobStep(job=Ref(job), run=run, step=step, code=code), reply)
            return
        try:
            self._actor.tell(Request(values, reply))
        except pykka.ActorDeadError:
            reply(None, Busy("the server is stopping"))

    def on_jobs(self, jobs: list[Job]) -> None:
        tell(self._actor, jobs)

    def on_gone(self, process: str) -> None:
        tell(self._actor, Gone(process))

    def on_left_running(self, job: Ref, run: int, *, is_crash: bool) -> None:
        tell(self._actor, LeftRunning(job, run, is_crash))

    def trim(self) -> None:
        """Forget the completed jobs beyond the history; its length may have been changed for this start."""
        tell(self._actor, Trimmed(is_done=True))


def take_up(submit: Submit, views: Views, scheduler: SchedulerDoor, *, save_jobs: bool, was_clean: bool) -> None:
    """Let the scheduler know the jobs that the last run left; those that ran then wait for a worker again.

    `was_clean` says that the last run ended in order, so that no job can be why it ended.
    """
    with views.snapshot() as snapshot:
        jobs = list(list_jobs(snapshot))
    unfinished = [job for job in jobs if not job.progress.state.is_completed]
    if not save_jobs:
        for job in unfinished:
            submit(ControlJob(id=job.id, word=Word.CANCEL.value, correlation=b""), log_refusal)
        submit(TrimJobs(keep=0), log_refusal)
        return
    scheduler.on_jobs(unfinished)
    for job in unfinished:
        if job.progress.state is JobState.Running:
            scheduler.on_left_running(job.ref, job.progress.run, is_crash=not was_clean)
    scheduler.trim()
