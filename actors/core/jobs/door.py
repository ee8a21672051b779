"""The way to the scheduler for the bridge, the index and the server's start."""

from actors.core.actor import Mailbox
from actors.core.jobs.messages import (
    Asked,
    Gone,
    JobsChanged,
    LeftRunning,
    SchedulerMessage,
    Submit,
    Trimmed,
    log_refusal,
)
from actors.core.jobs.scheduler import step_of
from actors.messages.commands.jobs import ControlJob, TrimJobs
from actors.messages.job_states import Word
from actors.messages.scheduler import RecordStep, SchedulerRequest
from actors.wire.reply import Reply, stopping
from events.identifiers import Ref
from store.projections.job_rows import Job, JobState
from store.views.jobs import list_jobs
from store.views.views import Views


class SchedulerDoor:
    """How the bridge, the index and this process reach the scheduler. Thread-safe; nothing here blocks."""

    def __init__(self, scheduler: Mailbox[SchedulerMessage], submit: Submit) -> None:
        self._scheduler = scheduler
        self._submit = submit

    def on_request(self, request: SchedulerRequest, reply: Reply) -> None:
        if isinstance(request, RecordStep):  # the hot one: straight to the index
            self._submit(step_of(request), reply)
        elif self._scheduler.is_alive():
            self._scheduler.tell(Asked(request, reply))
        else:
            reply(None, stopping())

    def on_jobs(self, jobs: list[Job]) -> None:
        self._scheduler.tell(JobsChanged(jobs))

    def on_gone(self, process: str) -> None:
        self._scheduler.tell(Gone(process))

    def on_left_running(self, job: Ref, run: int, *, is_crash: bool) -> None:
        self._scheduler.tell(LeftRunning(job, run, is_crash))

    def trim(self) -> None:
        """Forget the completed jobs beyond the history; its length may have been changed for this start."""
        self._scheduler.tell(Trimmed(is_done=True))


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
