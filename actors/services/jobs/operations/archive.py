"""The operation of `Archive` and `Media`: makes a ZIP archive, the job's output. Its plan: `archive_plan`.

The bytes go to a file that nobody refers to before it is whole and durable. A run that goes on after a crash or a pause begins
that file anew: it writes the members of the steps that are done again, and its first step is the one behind them.
"""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Any
from uuid import UUID

from actors.services.archives.archive import Archive, ArchiveOptions
from actors.services.archives.content import Reader
from actors.services.archives.selection import Selection
from actors.services.jobs.operation import PlainOperation, RunOver, Task, Workbench
from actors.services.jobs.operations.archive_plan import KEY, STEP_MEMBERS, from_plan
from actors.services.jobs.outputs import new_output
from actors.services.transcoding.targets import Target
from store.dicom.dicomdir import DicomDir

_TOLD = 20  # damaged instances in the job's content; the archive names all


class MakeArchive(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        plan = from_plan(task.plan)
        now = datetime.now().astimezone()
        self._steps = task.steps
        self._archive = Archive(
            Selection(bench.views, plan.roots, plan.folders, is_utf8=plan.is_utf8).members(),
            Reader(
                bench.views,
                bench.blobs,
                bench.codecs,
                Target(plan.transcode, plan.quality) if plan.transcode else None,
            ),
            ArchiveOptions(
                at=now,
                scratch=bench.temporary_directory,
                threads=bench.archive_threads,
                default_encoding=plan.default_encoding,
            ),
            DicomDir(f"2.25.{UUID(bytes=task.id).int}", now, is_extended=plan.is_extended) if plan.is_media else None,
            bench.interruption.check,
        )
        self._members = self._archive.members()
        self._output = ExitStack()
        self._file = self._output.enter_context(
            new_output(
                task, bench, KEY, media_type="application/zip", filename=plan.filename, keep=bench.media_archive_size
            )
        )

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        is_last = step == self._steps - 1
        while is_last or self._archive.done < (step + 1) * STEP_MEMBERS:
            parts = next(self._members, None)
            if parts is None:
                break
            self._write(parts)
        settle()
        if is_last:
            for parts in self._archive.ending():
                self._write(parts)
            self._output.close()
        return 0

    def _write(self, parts: list[bytes]) -> None:
        for part in parts:
            self._file.write(part)

    def result(self) -> dict[str, Any]:
        size_bytes, report = self._archive.size_bytes, self._archive.report
        told = {"ArchiveSize": str(size_bytes), "ArchiveSizeMB": size_bytes >> 20}
        if not report.count:
            return told
        return {**told, "DamagedInstancesCount": report.count, "DamagedInstances": report.identifiers[:_TOLD]}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()
        ended = error or RunOver()  # nothing, once the output is the job's
        self._output.__exit__(type(ended), ended, trace)
