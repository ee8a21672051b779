"""Jobs on the test's own thread: commands to the index, and what the log says came of them."""

from functools import cache
from typing import Any

from actors.messages.commands.command import Command
from actors.messages.commands.jobs import (
    AddJobOutput,
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
from actors.messages.job_states import Word
from events import envelope
from events.event import Event
from events.identifiers import BlobId, Ref
from store.blobs.writer import make_blob_id
from store.log import read_rows
from store.projections.job_rows import Job, JobState
from store.views.jobs import get_job
from tests.index_stage import IndexStage


def submit_command(
    number: int,
    *,
    steps: int = 2,
    priority: int = 0,
    attempts: int = 1,
    step_timeout_s: int = 0,
    kind: str = "DicomModalityStore",
    plan: dict[str, Any] | None = None,
    user_data: str = "",
) -> SubmitJob:
    """Return the command that submits the job whose UUID is this number."""
    return SubmitJob(
        id=job_id(number),
        type=kind,
        priority=priority,
        steps=steps,
        step_timeout_s=step_timeout_s,
        attempts=attempts,
        plan={"description": "REST API"} if plan is None else plan,
        user_data=user_data,
        correlation=b"",
    )


def job_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


class JobStage:
    """One command, one commit."""

    def __init__(self, stage: IndexStage) -> None:
        self.stage = stage
        self._submitted = 0

    def submit(self, **options: Any) -> Ref:
        self._submitted += 1
        return Ref(self.stage.ask(submit_command(self._submitted, **options)))

    def start(self, ref: Ref) -> Any:
        return self.stage.ask(StartJob(job=ref))

    def finish_step(self, ref: Ref, step: int, *, run: int = 1, code: int = 0) -> Any:
        return self.stage.ask(FinishJobStep(job=ref, run=run, step=step, code=code))

    def end(self, ref: Ref, *, run: int = 1, result: dict[str, Any] | None = None) -> Any:
        return self.stage.ask(EndJob(job=ref, run=run, result=result or {}))

    def fail(self, ref: Ref, *, run: int = 1, code: int = 9, details: str = "no", delay_ms: int | None = None) -> Any:
        return self.stage.ask(FailJob(job=ref, run=run, code=code, details=details, delay_ms=delay_ms))

    def interrupt(self, ref: Ref, *, run: int = 1, is_crash: bool = True) -> Any:
        return self.stage.ask(InterruptJob(job=ref, run=run, is_crash=is_crash))

    def add_output(self, ref: Ref, key: str = "archive", *, run: int = 1, place: int = 1) -> Any:
        return self.stage.ask(output_command(ref, key, run=run, place=place))

    def drop_output(self, ref: Ref, key: str = "archive") -> None:
        self.stage.ask(DropJobOutput(id=self.job(ref).id, key=key, correlation=b""))

    def control(self, ref: Ref, word: Word) -> Any:
        return self.stage.ask(ControlJob(id=self.job(ref).id, word=word.value, correlation=b""))

    def trim(self, keep: int) -> None:
        self.stage.ask(TrimJobs(keep=keep))

    def job(self, ref: Ref) -> Job:
        """Return a job that is not forgotten."""
        found = self.find(ref)
        assert found is not None
        return found

    def find(self, ref: Ref) -> Job | None:
        with self.stage.views.snapshot() as snapshot:
            return get_job(snapshot, ref)

    def state(self, ref: Ref) -> JobState:
        return self.job(ref).progress.state

    @property
    def head(self) -> int:
        return self.stage.index._log.head.seq

    def events(self, since: int = 0) -> list[Event]:
        """Return what happened after a sequence."""
        with self.stage.env.begin() as txn:
            rows = read_rows(txn, self.stage.env.tables, since, 1_000_000)
        found = [envelope.decode_event(envelope.decode_record(seq, row), personal) for seq, row, personal in rows]
        return [event for event in found if event is not None]

    def run(self, *commands: Command) -> list[Any]:
        """Commit commands together."""
        return self.stage.run(*commands)


def output_command(ref: Ref, key: str = "archive", *, run: int = 1, place: int = 1) -> AddJobOutput:
    return AddJobOutput(
        job=ref,
        run=run,
        key=key,
        blob=output_blob(place),
        size_bytes=1_000,
        media_type="application/zip",
        filename="Archive.zip",
    )


@cache
def output_blob(place: int) -> BlobId:
    return make_blob_id(1, place)
