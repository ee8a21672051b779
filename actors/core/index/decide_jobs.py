"""Which events a command to a job causes: what the transition table says, once the run that speaks is the present one."""

from actors.core.index.outcome import Context, Outcome, Planned, Steps
from actors.core.jobs.queue import MAX_CRASHES, is_to_blame
from actors.messages.commands import (
    AddJobOutput,
    Command,
    ControlJob,
    DropJobOutput,
    EndJob,
    FailJob,
    FinishJobStep,
    InterruptJob,
    StartJob,
    SubmitJob,
    TrimJobs,
)
from actors.messages.job_states import IGNORE, REFUSE, TRANSITIONS, Word
from events.errors import FolderRevoked, InvalidRequest, NotFound
from events.event import Event
from events.identifiers import Ref
from events.jobs import (
    JobCancelled,
    JobFailed,
    JobForgotten,
    JobInterrupted,
    JobOutputAdded,
    JobOutputDropped,
    JobPaused,
    JobResubmitted,
    JobResumed,
    JobRetryScheduled,
    JobStarted,
    JobStepFinished,
    JobSubmitted,
    JobSucceeded,
)
from store.batch import Batch
from store.blobs.store import folder_number
from store.projections.job_rows import Job, JobState, unpack_job, unpack_output
from store.projections.jobs import COMPLETED, count_completed
from store.tables import (
    JOB_IDS,
    JOB_OUTPUTS,
    JOB_PROGRESS,
    JOBS,
    JOBS_COMPLETED,
    LEASES,
    TOTALS,
    U64,
    job_output_key,
    key,
)

JOB_COMMANDS = (
    SubmitJob,
    ControlJob,
    DropJobOutput,
    StartJob,
    FinishJobStep,
    AddJobOutput,
    EndJob,
    FailJob,
    InterruptJob,
    TrimJobs,
)
CRASHED_CODE = -1  # Orthanc's "Internal error"
# What clients wish; none of these events holds more than the job's name.
_WISHES: dict[Word, type[Event]] = {
    Word.PAUSE: JobPaused,
    Word.RESUME: JobResumed,
    Word.CANCEL: JobCancelled,
    Word.RESUBMIT: JobResubmitted,
    Word.FORGET: JobForgotten,
}


def decide_job(command: Command, context: Context, outcome: Outcome) -> Steps:
    """Yield the events of a command to a job; fill in the outcome."""
    batch = context.batch
    match command:
        case SubmitJob():
            yield from _submit(command, context, outcome)
        case TrimJobs():
            yield from _trim(command.keep, batch, outcome)
        case ControlJob():
            job = _find(batch, command.id)
            yield from _control(job, command.word, batch, outcome)
        case DropJobOutput():
            yield from _drop_output(_find(batch, command.id), command.key, batch, outcome)
        case StartJob():
            yield from _start(read_job(batch, command.job), batch, outcome)
        case FinishJobStep() | AddJobOutput() | EndJob() | FailJob() | InterruptJob():
            found = read_job(batch, command.job)
            outcome.reply = False
            if found is not None and found.progress.run == command.run:
                yield from _hear_worker(command, found, batch, outcome)
        case _:
            raise TypeError(type(command).__name__)


def _submit(command: SubmitJob, context: Context, outcome: Outcome) -> Steps:
    known = context.batch.get(JOB_IDS, command.id)
    if known is not None:
        outcome.reply = U64.unpack(known)[0]
        return
    ref = Ref(context.next_seq())
    event = JobSubmitted(
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
    outcome.reply = ref
    _announce(context.batch, ref, outcome)


def _trim(keep: int, batch: Batch, outcome: Outcome) -> Steps:
    excess = count_completed(batch.get(TOTALS, COMPLETED)) - keep
    oldest = [row_key for row_key, _ in zip(batch.keys(JOBS_COMPLETED, b""), range(excess), strict=False)]
    for row_key in oldest:
        job = read_job(batch, Ref(U64.unpack(row_key[U64.size :])[0]))
        if job is not None:
            outcome.condemned = outcome.condemned or _has_outputs(batch, job.ref)
            yield Planned(JobForgotten(job=job.ref), job.aggregate)


# -- clients ----------------------------------------------------------------------------------------------------------


def _control(job: Job, said: str, batch: Batch, outcome: Outcome) -> Steps:
    word = next((word for word in _WISHES if word.value == said), None)
    if word is None:
        raise InvalidRequest("no client may say this to a job")
    entry = TRANSITIONS[job.progress.state, word]
    outcome.reply = entry is not REFUSE
    if not isinstance(entry, type):
        return
    outcome.condemned = word is Word.FORGET and _has_outputs(batch, job.ref)
    yield Planned(_WISHES[word](job=job.ref), job.aggregate)  # type: ignore[call-arg]  # each of them is made so
    _announce(batch, job.ref, outcome)


def _drop_output(job: Job, name: str, batch: Batch, outcome: Outcome) -> Steps:
    entry = TRANSITIONS[job.progress.state, Word.DROP_OUTPUT]
    if entry is not JobOutputDropped or batch.get(JOB_OUTPUTS, job_output_key(job.ref, name)) is None:
        raise NotFound(f"Job has no such output: {name}")
    yield Planned(JobOutputDropped(job=job.ref, key=name), job.aggregate)
    outcome.condemned = True


# -- scheduler and workers --------------------------------------------------------------------------------------------


def _start(job: Job | None, batch: Batch, outcome: Outcome) -> Steps:
    if job is None or TRANSITIONS[job.progress.state, Word.START] is IGNORE:
        return
    run = job.progress.run + 1
    yield Planned(JobStarted(job=job.ref, run=run), job.aggregate)
    outcome.reply = run
    _announce(batch, job.ref, outcome)


def _hear_worker(command: Command, job: Job, batch: Batch, outcome: Outcome) -> Steps:
    """Decide on what comes from the present run."""
    match command:
        case FinishJobStep():
            yield from _finish_step(command, job)
            outcome.reply = job.progress.state is JobState.Running
        case AddJobOutput():
            yield from _add_output(command, job, batch, outcome)
        case EndJob():
            if TRANSITIONS[job.progress.state, Word.SUCCEED] is JobSucceeded:
                if job.progress.position < job.steps:
                    raise InvalidRequest(f"{job.steps - job.progress.position} steps are not done yet")
                yield Planned(JobSucceeded(job=job.ref, result=command.result), job.aggregate)
                outcome.reply = True
        case FailJob():
            event = _failure(command)
            word = Word.FAIL if isinstance(event, JobFailed) else Word.RETRY
            if TRANSITIONS[job.progress.state, word] is type(event):
                yield Planned(event, job.aggregate)
                outcome.reply = True
        case InterruptJob():
            if TRANSITIONS[job.progress.state, Word.INTERRUPT] is JobInterrupted:
                yield Planned(_interruption(command, job), job.aggregate)
                outcome.reply = True
        case _:
            raise TypeError(type(command).__name__)
    _announce(batch, job.ref, outcome)


def _finish_step(command: FinishJobStep, job: Job) -> Steps:
    if TRANSITIONS[job.progress.state, Word.FINISH_STEP] is not JobStepFinished:
        return
    if command.step >= job.steps or command.step > job.progress.position:
        raise InvalidRequest(f"step {command.step} cannot be done before step {job.progress.position}")
    if command.step == job.progress.position:
        yield Planned(JobStepFinished(job=job.ref, step=command.step, code=command.code), job.aggregate)


def _add_output(command: AddJobOutput, job: Job, batch: Batch, outcome: Outcome) -> Steps:
    if TRANSITIONS[job.progress.state, Word.ADD_OUTPUT] is not JobOutputAdded:
        return
    row = batch.get(JOB_OUTPUTS, job_output_key(job.ref, command.key))
    outcome.reply = True
    if row is not None and unpack_output(row).blob == command.blob:  # sent again
        return
    if not batch.get(LEASES, key(folder_number(command.blob))):
        raise FolderRevoked("the process that made this file has been replaced")
    outcome.condemned = row is not None
    yield Planned(_output_added(command), job.aggregate)


def _output_added(command: AddJobOutput) -> JobOutputAdded:
    return JobOutputAdded(
        job=command.job,
        key=command.key,
        blob=command.blob,
        size_bytes=command.size_bytes,
        media_type=command.media_type,
        filename=command.filename,
    )


def _failure(command: FailJob) -> JobFailed | JobRetryScheduled:
    if command.delay_ms is None:
        return JobFailed(job=command.job, code=command.code, details=command.details)
    return JobRetryScheduled(job=command.job, delay_ms=command.delay_ms, code=command.code, details=command.details)


def _interruption(command: InterruptJob, job: Job) -> JobInterrupted | JobFailed:
    if command.is_crash and is_to_blame(job.progress.crashes):
        details = (
            f"What ran this job died {MAX_CRASHES} times without finishing a step, the last time with no other job"
        )
        return JobFailed(job=job.ref, code=CRASHED_CODE, details=details)
    return JobInterrupted(job=job.ref, is_crash=command.is_crash)


# -- reading ----------------------------------------------------------------------------------------------------------


def read_job(batch: Batch, ref: Ref) -> Job | None:
    """Return a job as it stands, None if it is forgotten."""
    row, progress = batch.get(JOBS, key(ref)), batch.get(JOB_PROGRESS, key(ref))
    return None if row is None or progress is None else unpack_job(ref, row, progress)


def _find(batch: Batch, job_id: bytes) -> Job:
    packed = batch.get(JOB_IDS, job_id)
    job = None if packed is None else read_job(batch, Ref(U64.unpack(packed)[0]))
    if job is None:
        raise NotFound("no such job")
    return job


def _has_outputs(batch: Batch, ref: Ref) -> bool:
    return next(batch.keys(JOB_OUTPUTS, key(ref)), None) is not None


def _announce(batch: Batch, ref: Ref, outcome: Outcome) -> None:
    job = read_job(batch, ref)
    if job is not None:
        outcome.jobs.append(job)
