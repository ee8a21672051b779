"""Which events a command to a job causes: what the transition table says, once the run that speaks is the present one."""

from collections.abc import Callable
from typing import Any

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.decisions.files import check_lease
from actors.core.jobs.queue import MAX_CRASHES, is_to_blame
from actors.messages.commands import jobs as commands
from actors.messages.commands.command import Command
from actors.messages.job_states import IGNORE, REFUSE, TRANSITIONS, Word
from events import jobs as events
from events.errors import InvalidRequest, NotFound
from events.event import Event
from events.identifiers import Ref
from store.batch import Batch
from store.projections.job_rows import Job, JobState, read_job, unpack_output
from store.projections.jobs import COMPLETED, count_completed
from store.tables import JOB_IDS, JOB_OUTPUTS, JOBS_COMPLETED, TOTALS, U64, job_output_key, key

CRASHED_CODE = -1  # Orthanc's "Internal error"
# Orders of clients; none of these events holds more than the job's name.
_WISHES: dict[Word, type[Event]] = {
    Word.PAUSE: events.JobPaused,
    Word.RESUME: events.JobResumed,
    Word.CANCEL: events.JobCancelled,
    Word.RESUBMIT: events.JobResubmitted,
    Word.FORGET: events.JobForgotten,
}


def _submit(command: commands.SubmitJob, context: Context) -> Steps:
    known = context.batch.get(JOB_IDS, command.id)
    if known is not None:
        context.outcome.reply = U64.unpack(known)[0]
        return
    ref = Ref(context.next_seq())
    event = events.JobSubmitted(
        id=command.id,
        type=command.type,
        priority=command.priority,
        steps=command.steps,
        step_timeout_s=command.step_timeout_s,
        attempts=command.attempts,
        plan=command.plan,
        user_data=command.user_data,
    )
    yield Planned(event, context.new_surrogate())
    context.outcome.reply = ref
    _announce(ref, context)


def _trim(command: commands.TrimJobs, context: Context) -> Steps:
    batch, outcome = context.batch, context.outcome
    excess = count_completed(batch.get(TOTALS, COMPLETED)) - command.keep
    oldest = [row_key for row_key, _ in zip(batch.keys(JOBS_COMPLETED, b""), range(excess), strict=False)]
    for row_key in oldest:
        job = read_job(batch.get, Ref(U64.unpack(row_key[U64.size :])[0]))
        if job is not None:
            outcome.condemned = outcome.condemned or _has_outputs(batch, job.ref)
            yield Planned(events.JobForgotten(job=job.ref), job.aggregate)


# -- clients ----------------------------------------------------------------------------------------------------------


def _control(command: commands.ControlJob, context: Context) -> Steps:
    job = _find(context.batch, command.id)
    word = next((word for word in _WISHES if word.value == command.word), None)
    if word is None:
        raise InvalidRequest("clients cannot send this order to a job")
    entry = TRANSITIONS[job.progress.state, word]
    context.outcome.reply = entry is not REFUSE
    if not isinstance(entry, type):
        return
    context.outcome.condemned = word is Word.FORGET and _has_outputs(context.batch, job.ref)
    yield Planned(_WISHES[word](job=job.ref), job.aggregate)  # type: ignore[call-arg]  # each of them is made so
    _announce(job.ref, context)


def _drop_output(command: commands.DropJobOutput, context: Context) -> Steps:
    job = _find(context.batch, command.id)
    entry = TRANSITIONS[job.progress.state, Word.DROP_OUTPUT]
    if (
        entry is not events.JobOutputDropped
        or context.batch.get(JOB_OUTPUTS, job_output_key(job.ref, command.key)) is None
    ):
        raise NotFound(f"Job has no such output: {command.key}")
    yield Planned(events.JobOutputDropped(job=job.ref, key=command.key), job.aggregate)
    context.outcome.condemned = True


# -- scheduler and workers --------------------------------------------------------------------------------------------


def _start(command: commands.StartJob, context: Context) -> Steps:
    job = read_job(context.batch.get, command.job)
    if job is None or TRANSITIONS[job.progress.state, Word.START] is IGNORE:
        return
    run = job.progress.run + 1
    yield Planned(events.JobStarted(job=job.ref, run=run), job.aggregate)
    context.outcome.reply = run
    _announce(job.ref, context)


def _hear_run(
    command: commands.FinishJobStep
    | commands.AddJobOutput
    | commands.EndJob
    | commands.FailJob
    | commands.InterruptJob,
    context: Context,
) -> Steps:
    """Decide on what is said of a run, if it is the present one."""
    job = read_job(context.batch.get, command.job)
    context.outcome.reply = False
    if job is not None and job.progress.run == command.run:
        yield from _OF_RUNS[type(command)](command, job, context)
        _announce(job.ref, context)


def _finish_step(command: commands.FinishJobStep, job: Job, context: Context) -> Steps:
    context.outcome.reply = job.progress.state is JobState.Running
    if TRANSITIONS[job.progress.state, Word.FINISH_STEP] is not events.JobStepFinished:
        return
    if command.step >= job.steps or command.step > job.progress.position:
        raise InvalidRequest(f"step {command.step} cannot be done before step {job.progress.position}")
    if command.step == job.progress.position:
        yield Planned(events.JobStepFinished(job=job.ref, step=command.step, code=command.code), job.aggregate)


def _add_output(command: commands.AddJobOutput, job: Job, context: Context) -> Steps:
    if TRANSITIONS[job.progress.state, Word.ADD_OUTPUT] is not events.JobOutputAdded:
        return
    row = context.batch.get(JOB_OUTPUTS, job_output_key(job.ref, command.key))
    context.outcome.reply = True
    if row is not None and unpack_output(row).blob == command.blob:  # sent again
        return
    check_lease(command.blob, context.batch)
    context.outcome.condemned = row is not None
    event = events.JobOutputAdded(
        job=command.job,
        key=command.key,
        blob=command.blob,
        size_bytes=command.size_bytes,
        media_type=command.media_type,
        filename=command.filename,
    )
    yield Planned(event, job.aggregate)
    if command.keep:
        yield from _make_room(command.key, command.keep, context)


def _make_room(output_key: str, keep: int, context: Context) -> Steps:
    """Drop the oldest files of a key beyond the newest `keep`: `MediaArchiveSize`."""
    batch = context.batch
    found = [row_key for row_key in batch.keys(JOB_OUTPUTS, b"") if row_key[U64.size :] == output_key.encode()]
    found.sort(key=lambda row_key: unpack_output(batch.get(JOB_OUTPUTS, row_key) or b"").added)
    for row_key in found[:-keep]:
        older = read_job(batch.get, Ref(U64.unpack(row_key[: U64.size])[0]))
        if older is not None:
            yield Planned(events.JobOutputDropped(job=older.ref, key=output_key), older.aggregate)
            context.outcome.condemned = True


def _succeed(command: commands.EndJob, job: Job, context: Context) -> Steps:
    if TRANSITIONS[job.progress.state, Word.SUCCEED] is not events.JobSucceeded:
        return
    if job.progress.position < job.steps:
        raise InvalidRequest(f"{job.steps - job.progress.position} steps are not done yet")
    yield Planned(events.JobSucceeded(job=job.ref, result=command.result), job.aggregate)
    context.outcome.reply = True


def _fail(command: commands.FailJob, job: Job, context: Context) -> Steps:
    event: events.JobFailed | events.JobRetryScheduled
    if command.delay_ms is None:
        word, event = Word.FAIL, events.JobFailed(job=command.job, code=command.code, details=command.details)
    else:
        word, event = (
            Word.RETRY,
            events.JobRetryScheduled(
                job=command.job, delay_ms=command.delay_ms, code=command.code, details=command.details
            ),
        )
    if TRANSITIONS[job.progress.state, word] is type(event):
        yield Planned(event, job.aggregate)
        context.outcome.reply = True


def _interrupt(command: commands.InterruptJob, job: Job, context: Context) -> Steps:
    if TRANSITIONS[job.progress.state, Word.INTERRUPT] is events.JobInterrupted:
        yield Planned(_interruption(command, job), job.aggregate)
        context.outcome.reply = True


def _interruption(command: commands.InterruptJob, job: Job) -> events.JobInterrupted | events.JobFailed:
    if command.is_crash and is_to_blame(job.progress.crashes):
        details = (
            f"What ran this job died {MAX_CRASHES} times without finishing a step, the last time with no other job"
        )
        return events.JobFailed(job=job.ref, code=CRASHED_CODE, details=details)
    return events.JobInterrupted(job=job.ref, is_crash=command.is_crash)


# -- reading ----------------------------------------------------------------------------------------------------------


def _find(batch: Batch, job_id: bytes) -> Job:
    packed = batch.get(JOB_IDS, job_id)
    job = None if packed is None else read_job(batch.get, Ref(U64.unpack(packed)[0]))
    if job is None:
        raise NotFound("no such job")
    return job


def _has_outputs(batch: Batch, ref: Ref) -> bool:
    return next(batch.keys(JOB_OUTPUTS, key(ref)), None) is not None


def _announce(ref: Ref, context: Context) -> None:
    job = read_job(context.batch.get, ref)
    if job is not None:
        context.outcome.jobs.append(job)


_OF_RUNS: dict[type[Command], Callable[[Any, Job, Context], Steps]] = {
    commands.FinishJobStep: _finish_step,
    commands.AddJobOutput: _add_output,
    commands.EndJob: _succeed,
    commands.FailJob: _fail,
    commands.InterruptJob: _interrupt,
}
DECISIONS: Decisions = {
    commands.SubmitJob: _submit,
    commands.TrimJobs: _trim,
    commands.ControlJob: _control,
    commands.DropJobOutput: _drop_output,
    commands.StartJob: _start,
    **dict.fromkeys(_OF_RUNS, _hear_run),
}
