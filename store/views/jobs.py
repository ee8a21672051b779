"""Jobs as clients and workers see them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from events import envelope
from events.identifiers import Ref, Seq
from events.jobs import JobFailed, JobOutputAdded, JobRetryScheduled, JobSubmitted, JobSucceeded
from store.log import Appended, read_event, read_rows
from store.projections.job_rows import Job, Output, Progress, job_of, read_job, unpack_output
from store.tables import JOB_FAILURES, JOB_IDS, JOB_OUTPUTS, JOBS, U32, U64, job_output_key, key
from store.views.feed import EventEntry, read_entry
from store.views.snapshot import Snapshot

# Rows of the log looked through for one page of a job's events: some 30 ms.
SCAN_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job was submitted with."""

    values: dict[str, Any]
    user_data: str  # JSON; "" for none
    correlation: bytes = b""  # of what has submitted it


@dataclass(frozen=True, slots=True)
class JobEventsPage:
    """A page of a job's events."""

    events: list[EventEntry]
    last: Seq  # where the next page begins
    is_done: bool


def find_job(snapshot: Snapshot, job_id: bytes) -> Job | None:
    """Return a job by its UUID, None if there is none or it is forgotten."""
    packed = snapshot.row(JOB_IDS, job_id)
    return None if packed is None else get_job(snapshot, Ref(U64.unpack(packed)[0]))


def get_job(snapshot: Snapshot, ref: Ref) -> Job | None:
    """Return a job, None if there is none or it is forgotten."""
    return read_job(snapshot.row, ref)


def recall_job(snapshot: Snapshot, ref: Ref, progress: Progress) -> Job | None:
    """Return a job, even a forgotten one, from the log and its last progress; None if it was erased."""
    record, event = read_event(snapshot.row, ref)
    if record is None or not isinstance(event, JobSubmitted):
        return None
    return job_of(Appended(record.seq, record.at_us, record.aggregate, event), progress)


def list_jobs(snapshot: Snapshot, since: int = 0) -> Iterator[Job]:
    """Iterate over the jobs in the order in which they were submitted, from Ref `since` on."""
    for row_key in snapshot.keys(JOBS, b"", key(since)):
        job = get_job(snapshot, Ref(U64.unpack(row_key)[0]))
        if job is not None:
            yield job


def get_plan(snapshot: Snapshot, ref: Ref) -> Plan | None:
    """Return the plan of a job, None where it was erased from the log."""
    record, event = read_event(snapshot.row, ref)
    if record is None or not isinstance(event, JobSubmitted):
        return None
    return Plan(event.plan, event.user_data, record.correlation)


def get_error_details(snapshot: Snapshot, job: Job) -> str:
    """Return the text of the last run's error, "" where it met none."""
    event = read_event(snapshot.row, job.progress.outcome)[1] if job.progress.outcome else None
    return event.details if isinstance(event, JobFailed | JobRetryScheduled) else ""


def get_result(snapshot: Snapshot, job: Job) -> dict[str, Any]:
    """Return the values that the operation reported at its end; empty before."""
    event = read_event(snapshot.row, job.progress.outcome)[1] if job.progress.outcome else None
    return event.result if isinstance(event, JobSucceeded) else {}


def list_failures(snapshot: Snapshot, ref: Ref) -> Iterator[tuple[int, int]]:
    """Iterate over the steps whose errors a permissive job passed over: step, Orthanc's number of the error."""
    for row_key in snapshot.keys(JOB_FAILURES, key(ref)):
        code = int.from_bytes(snapshot.row(JOB_FAILURES, row_key) or b"", "big", signed=True)
        yield U32.unpack(row_key[U64.size :])[0], code


def get_output(snapshot: Snapshot, ref: Ref, name: str) -> tuple[Output, str] | None:
    """Return a file that a job made, and the name it is to be saved under."""
    row = snapshot.row(JOB_OUTPUTS, job_output_key(ref, name))
    if row is None:
        return None
    output = unpack_output(row)
    event = read_event(snapshot.row, output.added)[1]
    return output, event.filename if isinstance(event, JobOutputAdded) else ""


def list_job_events(snapshot: Snapshot, job: Job, *, since: int = 0, limit: int = 100) -> JobEventsPage:
    """Return a page of a job's events after sequence `since`.

    Jobs have no index of their events: that would double what a step costs. So a page is looked for in the log between
    the job's first and last event, in a bounded part of it; a page may be short though more follows.
    """
    at = max(since, job.ref - 1)
    found: list[EventEntry] = []
    rows = read_rows(snapshot.txn, snapshot.tables, at, SCAN_ROWS)
    for seq, row, personal in rows:
        if seq > job.progress.last or len(found) == limit:
            break
        at = seq
        if envelope.decode_record(seq, row).aggregate == job.aggregate:
            found.append(read_entry(seq, row, personal))
    return JobEventsPage(found, Seq(at), at >= job.progress.last)
