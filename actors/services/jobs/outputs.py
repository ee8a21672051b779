"""A file that a job makes, for `GET /jobs/{id}/{key}`: written into a blob, and the job's once it is durable."""

from collections.abc import Iterator
from contextlib import contextmanager

from actors.messages.job_types import JOB_TYPES
from actors.services.ingest.incoming_blob import IncomingBlob
from actors.services.jobs.operation import RunOver, Task, Workbench
from events.stored_file import PlainFile


@contextmanager
def new_output(
    task: Task, bench: Workbench, key: str, *, media_type: str, filename: str = "", keep: int = 0
) -> Iterator[IncomingBlob]:
    """Write a file; at the end of the block it is the job's, in the place of an earlier one of this key.

    A block that ends early leaves no file. A browser saves it as `filename`. Of the files of this
    key, whichever job they belong to, the newest `keep` stay; 0: all. Raises RunOver if the run has ended in the meantime,
    Interrupted, StorageFull, StorageFailed, Busy; ValueError for a key that the type's row does not name.
    """
    if key not in JOB_TYPES[task.type].outputs:
        raise ValueError(f"jobs of type {task.type} have no output {key}")
    blob = IncomingBlob(bench.ingest.durable, sync=bench.ingest.settings().sync, digest=False)

    def refer(made: PlainFile) -> bool:
        return bench.index.add_job_output(
            task.job,
            task.run,
            key,
            made.blob,
            made.size_bytes,
            media_type=media_type,
            filename=filename,
            keep=keep,
        )

    try:
        yield blob
        bench.interruption.check()
        if not blob.keep(refer, lambda _: True, beside=False):
            raise RunOver
    finally:
        blob.discard()
