"""A file that a job makes, for `GET /jobs/{id}/{key}`: written into a blob, and the job's once it is durable."""

from collections.abc import Iterator
from contextlib import contextmanager

from actors.messages.job_types import JOB_TYPES
from actors.services.jobs.operation import RunOver, Task, Workbench
from events.errors import Busy, FolderRevoked, SinogramError
from store.blobs.writer import BlobWriter


@contextmanager
def new_output(task: Task, bench: Workbench, key: str, *, media_type: str, filename: str = "") -> Iterator[BlobWriter]:
    """Write a file; at the end of the block it is the job's, in the place of an earlier one of this key.

    What ends the block early leaves no file. `filename` is what a browser calls it. Raises RunOver if the run has ended meanwhile,
    Interrupted, StorageFull, StorageFailed, Busy; ValueError for a key that the type's row does not name.
    """
    if key not in JOB_TYPES[task.type].outputs:
        raise ValueError(f"jobs of type {task.type} have no output {key}")
    folders = bench.ingest.folders
    writer = folders.create()
    is_clear, is_kept = True, False  # whether it is known what became of the file, and whether the job has it
    try:
        yield writer
        bench.interruption.check()
        writer.commit(sync=bench.ingest.settings().sync)
        is_clear = False
        try:
            is_kept = bench.index.add_job_output(
                task.job, task.run, key, writer.blob, writer.size_bytes, media_type=media_type, filename=filename
            )
        except SinogramError as exc:  # Busy from a silent core leaves the outcome open: a sweep decides
            is_clear = isinstance(exc, FolderRevoked) or not isinstance(exc, Busy)
            raise
        is_clear = True
        if not is_kept:
            raise RunOver
    finally:
        if is_clear and not is_kept:
            is_clear = writer.discard()
        folders.release(writer.folder, is_clear=is_clear)
