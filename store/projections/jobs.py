"""Jobs as their events leave them.

What never changes is written once, the progress is one small row of fixed size. The plan and the texts of errors and
results are not copied: views read them from the log.
"""

from dataclasses import replace

from events import jobs as events
from events.event import Event
from events.identifiers import Ref, Seq
from events.jobs import JobEvent
from store.batch import Batch
from store.log import Appended
from store.projections.job_rows import (
    NEVER,
    JobState,
    Output,
    Progress,
    job_of,
    pack_job,
    pack_output,
    unpack_output,
    unpack_progress,
)
from store.projections.projection import FAMILIES, Projection, without
from store.tables import (
    BLOBS,
    CONDEMNED,
    JOB_FAILURES,
    JOB_IDS,
    JOB_OUTPUTS,
    JOB_PROGRESS,
    JOBS,
    JOBS_COMPLETED,
    TOTALS,
    U64,
    completed_job_key,
    job_failure_key,
    job_output_key,
    key,
)

COMPLETED = b"completed-jobs"  # in `totals`: how many there are
CANCELLED_CODE = 37  # Orthanc's number of "This job was canceled"

# The state in which an event leaves a job; the others leave it where it is.
STATE_AFTER: dict[type[Event], JobState] = {
    events.JobSubmitted: JobState.Pending,
    events.JobStarted: JobState.Running,
    events.JobInterrupted: JobState.Pending,
    events.JobPaused: JobState.Paused,
    events.JobResumed: JobState.Pending,
    events.JobCancelled: JobState.Failure,
    events.JobRetryScheduled: JobState.Retry,
    events.JobSucceeded: JobState.Success,
    events.JobFailed: JobState.Failure,
    events.JobResubmitted: JobState.Pending,
}


def _submit(batch: Batch, appended: Appended[events.JobSubmitted]) -> None:
    progress = Progress(queued=appended.seq, last=appended.seq, changed_us=appended.at_us)
    job = job_of(appended, progress)
    batch.put(JOBS, key(job.ref), pack_job(job))
    batch.put(JOB_PROGRESS, key(job.ref), progress.pack())
    batch.put(JOB_IDS, job.id, key(job.ref))


def _advance(batch: Batch, appended: Appended[events.JobEvent]) -> None:
    event = appended.event
    ref: Ref = event.job  # type: ignore[attr-defined]  # every event of the family but JobSubmitted names its job
    row = batch.get(JOB_PROGRESS, key(ref))
    if row is None:
        return
    old = unpack_progress(row)
    new = progress_after(old, appended)
    batch.put(JOB_PROGRESS, key(ref), new.pack())
    if new.state.is_completed and not old.state.is_completed:
        batch.put(JOBS_COMPLETED, completed_job_key(appended.seq, ref), b"")
        _count_completed(batch, 1)
    elif old.state.is_completed and not new.state.is_completed:
        batch.delete(JOBS_COMPLETED, completed_job_key(old.completion, ref))
        _count_completed(batch, -1)
    if isinstance(event, events.JobStepFinished) and event.code:
        batch.put(JOB_FAILURES, job_failure_key(ref, event.step), event.code.to_bytes(2, "big", signed=True))
    elif isinstance(event, events.JobResubmitted):
        _forget_failures(batch, ref)


def progress_after(old: Progress, appended: Appended[events.JobEvent]) -> Progress:
    """Return a job's progress once an event has happened to it."""
    event = appended.event
    state = STATE_AFTER.get(type(event), old.state)
    new = replace(old, state=state, last=appended.seq, changed_us=appended.at_us)
    if old.state is JobState.Running and state is not JobState.Running:
        new = replace(new, runtime_us=old.runtime_us + appended.at_us - old.started_us)
    if state.is_completed and not old.state.is_completed:
        new = replace(new, completion=appended.seq, completed_us=appended.at_us, outcome=appended.seq)
    match event:
        case events.JobStarted():
            return replace(new, run=event.run, started_us=appended.at_us, code=0, outcome=NEVER, due_us=0)
        case events.JobStepFinished():
            failed = old.failed + (event.code != 0)
            return replace(new, position=event.step + 1, failed=failed, tries=0, crashes=0)
        case events.JobInterrupted():
            return replace(new, crashes=old.crashes + event.is_crash)
        case events.JobResumed():
            return replace(new, queued=appended.seq)
        case events.JobRetryScheduled():
            due_us = appended.at_us + event.delay_ms * 1000
            return replace(new, tries=old.tries + 1, code=event.code, due_us=due_us, outcome=appended.seq)
        case events.JobFailed():
            return replace(new, code=event.code)
        case events.JobCancelled():
            return replace(new, code=CANCELLED_CODE)
        case events.JobResubmitted():
            return Progress(
                run=old.run + 1,
                code=old.code,
                queued=appended.seq,
                last=appended.seq,
                outcome=old.outcome,
                changed_us=appended.at_us,
            )
        case _:
            return new


def _add_output(batch: Batch, appended: Appended[events.JobOutputAdded]) -> None:
    event = appended.event
    row_key = job_output_key(event.job, event.key)
    _remove_output(batch, row_key, appended.seq)
    output = Output(blob=event.blob, size_bytes=event.size_bytes, media_type=event.media_type, added=appended.seq)
    batch.put(JOB_OUTPUTS, row_key, pack_output(output))
    batch.put(BLOBS, event.blob, key(event.job))
    _advance(batch, appended)


def _drop_output(batch: Batch, appended: Appended[events.JobOutputDropped]) -> None:
    _remove_output(batch, job_output_key(appended.event.job, appended.event.key), appended.seq)
    _advance(batch, appended)


def _remove_output(batch: Batch, row_key: bytes, seq: Seq) -> None:
    row = batch.get(JOB_OUTPUTS, row_key)
    if row is None:
        return
    blob = unpack_output(row).blob
    batch.delete(JOB_OUTPUTS, row_key)
    batch.delete(BLOBS, blob)
    batch.put(CONDEMNED, blob, key(seq))


def _forget(batch: Batch, appended: Appended[events.JobForgotten]) -> None:
    ref = appended.event.job
    row, progress = batch.get(JOBS, key(ref)), batch.get(JOB_PROGRESS, key(ref))
    if row is None or progress is None:
        return
    for output in batch.keys(JOB_OUTPUTS, key(ref)):
        _remove_output(batch, output, appended.seq)
    _forget_failures(batch, ref)
    batch.delete(JOBS_COMPLETED, completed_job_key(unpack_progress(progress).completion, ref))
    _count_completed(batch, -1)
    batch.delete(JOB_IDS, job_id_of(row))
    batch.delete(JOBS, key(ref))
    batch.delete(JOB_PROGRESS, key(ref))


def _count_completed(batch: Batch, change: int) -> None:
    batch.put(TOTALS, COMPLETED, key(count_completed(batch.get(TOTALS, COMPLETED)) + change))


def count_completed(row: bytes | None) -> int:
    """Return how many completed jobs there are, from the row among the totals."""
    return 0 if row is None else int(U64.unpack(row)[0])


def _forget_failures(batch: Batch, ref: Ref) -> None:
    for failure in batch.keys(JOB_FAILURES, key(ref)):
        batch.delete(JOB_FAILURES, failure)


def job_id_of(row: bytes) -> bytes:
    """Return the UUID in a row of `jobs`: it follows the headers of the list (1 byte) and of the bytes (2)."""
    return row[3:19]


PROJECTION = Projection(
    tables=(JOBS, JOB_PROGRESS, JOB_IDS, JOB_FAILURES, JOB_OUTPUTS, JOBS_COMPLETED),
    handles={
        **dict.fromkeys(STATE_AFTER, _advance),
        events.JobStepFinished: _advance,
        events.JobSubmitted: _submit,
        events.JobOutputAdded: _add_output,
        events.JobOutputDropped: _drop_output,
        events.JobForgotten: _forget,
    },
    ignores=without(FAMILIES, JobEvent),
)
