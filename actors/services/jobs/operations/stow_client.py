"""The operation `DicomWebStowClient`: instances are sent to a DICOMweb server, some a step. Its plan: `stow_plan`.

A crash repeats the requests of one step; the server has these instances already.
"""

from collections.abc import Callable, Iterator, Mapping
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

MOST_BYTES: Final = 16 << 20  # of the files in one request, where StowMaxSize is 0; those below 1 MB are in memory
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
        self._code = 0  # of the step under way: the number of an error that was passed over

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        self._code = 0
        for some in self._requests(self._plan.of_step(step)):
            settle()
            try:
                self._bench.dicomweb_client.store(self._server, some, self._bench.interruption, self._plan.headers)
            except NotStored as exc:
                self._pass_over(exc, exc.failures)
            except SinogramError as exc:
                self._pass_over(exc, dict.fromkeys((uid for uid, _ in some.files), str(exc)))
            self._sent_bytes += some.content_bytes
            del some  # before the next ones are read
        return self._code

    def _requests(self, instances: list[ResourceId]) -> Iterator[SentFiles]:
        """Yield what fits into one request each, which is read then; a file that is larger has one of its own."""
        most_bytes = self._bench.stow_max_bytes or MOST_BYTES
        some: list[tuple[str, Buffer]] = []
        size_bytes = 0
        for instance in instances:
            try:
                record, file = read_instance(self._bench, instance)
            except SinogramError as exc:
                self._pass_over(exc, {format_resource_id(instance): str(exc)})
                continue
            if some and size_bytes + len(file) > most_bytes:
                yield SentFiles(some)
                some, size_bytes = [], 0
            some.append((record.tags[SOP_INSTANCE_UID], file))
            size_bytes += len(file)
        if some:
            yield SentFiles(some)

    def _pass_over(self, error: SinogramError, failures: Mapping[str, str]) -> None:
        self._code = passed_over(error, is_permissive=self._plan.permissive)
        self._failed += len(failures)
        for name, reason in failures.items():
            if len(self._failures) < _TOLD:
                self._failures[name] = reason

    def result(self) -> dict[str, Any]:
        told = {"FailedInstances": self._failures, "FailedInstancesCount": self._failed} if self._failed else {}
        return {"NetworkSizeMB": str(self._sent_bytes >> 20), **told}
