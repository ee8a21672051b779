"""The operation `OrthancPeerStore`: instances are sent to a peer, one a step. Its plan: `peer_plan`.

What a crash repeats is the upload of one instance, which the peer knows as a duplicate.
"""

import gzip
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final, cast

from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.passing_over import passed_over
from actors.services.jobs.operations.peer_plan import from_plan
from actors.services.jobs.operations.peer_sends import read_instance
from actors.services.transcoding.targets import Target
from actors.services.transcoding.transcode import transcode
from events.errors import SinogramError
from events.identifiers import ResourceId
from store.dicom.elements import Buffer
from store.disk_errors import DiskErrors

_SCRATCH: Final = DiskErrors("TemporaryDirectory")
_GZIP_LEVEL: Final = 6  # zlib's own choice, as for our answers


class PeerStore(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._bench = bench
        self._plan = plan = from_plan(task.plan)
        self._peer = bench.peers.get(plan.peer)
        self._sent_bytes = 0  # by this run

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        try:
            self._send(self._plan.instances[step], settle)
        except SinogramError as exc:
            return passed_over(exc, is_permissive=self._plan.permissive)
        return 0

    def _send(self, instance: ResourceId, settle: Callable[[], None]) -> None:
        with self._prepared(instance) as body, memoryview(body) as view:
            settle()
            self._bench.peer_client.store(self._peer, view, self._bench.interruption, is_gzip=self._plan.compress)
            self._sent_bytes += view.nbytes

    @contextmanager
    def _prepared(self, instance: ResourceId) -> Iterator[Buffer]:
        """Have the body that is sent for an instance. What has to be made first lies in a file without a name: it may be large."""
        record, stored = read_instance(self._bench, instance)
        parts: list[Buffer] = [stored]
        if self._plan.transcode not in {"", record.transfer_syntax}:
            opened = self._bench.blobs.reopener(record, stored)
            check = self._bench.interruption.check
            target = Target(self._plan.transcode, self._bench.codecs.settings.lossy_quality)
            made = transcode(memoryview(stored), target, self._bench.codecs, opened, check)
            parts = [made.head(), made.dataset]
        if len(parts) == 1 and not self._plan.compress:
            yield stored
            return
        with _SCRATCH:
            spool = cast("BinaryIO", TemporaryFile(dir=self._bench.temporary_directory))  # noqa: SIM115 # its own errors are told apart
        with spool:
            with _SCRATCH:
                _write(parts, spool, is_gzip=self._plan.compress)
            with mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield mapped

    def result(self) -> dict[str, Any]:
        return {"Size": str(self._sent_bytes), "SizeMB": self._sent_bytes >> 20}


def _write(parts: list[Buffer], spool: BinaryIO, *, is_gzip: bool) -> None:
    if is_gzip:
        with gzip.GzipFile(fileobj=spool, mode="wb", compresslevel=_GZIP_LEVEL, mtime=0) as packed:
            for part in parts:
                packed.write(part)
    else:
        for part in parts:
            spool.write(part)
    spool.flush()
