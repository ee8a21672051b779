"""The operation `DicomWebStowClient`: instances are sent to a DICOMweb server, some a step. Its plan: `stow_plan`.

A crash repeats the requests of one step; the server has these instances already.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.passing_over import passed_over
from actors.services.jobs.operations.peer_sends import read_instance
from actors.services.jobs.operations.stow_plan import from_plan
from actors.services.remote.dicomweb_store import NotStored, SentFiles
from events.errors import SinogramError
from events.identifiers import ResourceId, format_resource_id
from store.dicom.elements import Buffer
from store.dicom.tags import SOP_INSTANCE_UID

_TOLD: Final = 20  # failures in the content of a job


class StowClient(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._bench = bench
        self._plan = plan = from_plan(task.plan)
        self._server = bench.dicomweb_servers.get(plan.server)
        self._sent_bytes = 0  # by this run
        self._failures: dict[str, str] = {}  # that were passed over by this run: UID or identifier -> reason
        self._failed = 0

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        code = 0
        files: list[tuple[str, Buffer]] = []
        for instance in self._plan.of_step(step):
            try:
                files.append(self._open(instance))
            except SinogramError as exc:
                code = self._pass_over(exc, {format_resource_id(instance): str(exc)})
        settle()
        for some in self._requests(files):
            try:
                self._bench.dicomweb_client.store(self._server, some, self._bench.interruption, self._plan.headers)
            except NotStored as exc:
                code = self._pass_over(exc, exc.failures)
            except SinogramError as exc:
                code = self._pass_over(exc, dict.fromkeys((uid for uid, _ in some.files), str(exc)))
            self._sent_bytes += some.content_bytes
        return code

    def _open(self, instance: ResourceId) -> tuple[str, Buffer]:
        record, file = read_instance(self._bench, instance)
        return record.tags[SOP_INSTANCE_UID], file

    def _requests(self, files: list[tuple[str, Buffer]]) -> Iterator[SentFiles]:
        """Yield what fits into one request each; a file that is larger has one of its own."""
        most_bytes = self._bench.stow_max_bytes
        some: list[tuple[str, Buffer]] = []
        size_bytes = 0
        for uid, file in files:
            if some and most_bytes and size_bytes + len(file) > most_bytes:
                yield SentFiles(some)
                some, size_bytes = [], 0
            some.append((uid, file))
            size_bytes += len(file)
        if some:
            yield SentFiles(some)

    def _pass_over(self, error: SinogramError, failures: "dict[str, str] | Any") -> int:
        code = passed_over(error, is_permissive=self._plan.permissive)
        self._failed += len(failures)
        for name, reason in failures.items():
            if len(self._failures) < _TOLD:
                self._failures[name] = reason
        return code

    def result(self) -> dict[str, Any]:
        told = {"FailedInstances": self._failures, "FailedInstancesCount": self._failed} if self._failed else {}
        return {"NetworkSizeMB": str(self._sent_bytes >> 20), **told}
