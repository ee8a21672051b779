"""The operation `DicomWebWadoRetrieveClient`: a DICOMweb server is asked for instances, one address a step. Its plan: `wado_retrieve_plan`.

Each instance is stored while the next one is on its way. A run that goes on after a crash, a pause or an error asks the server which instances there are
(QIDO-RS), and retrieves one by one those that have not come yet; where it does not say, all of them once more.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.passing_over import passed_over
from actors.services.jobs.operations.wado_retrieve_plan import from_plan
from actors.services.remote.dicomweb_servers import address
from actors.wire.errors import RemoteFailed
from events.errors import SinogramError
from store.records import Origin
from store.tables import LookupKind
from store.views.lookup import find_refs

_OF_MANY: Final = re.compile(r"studies/[0-9.]+(?:/series/([0-9.]+))?\Z")
_PAGE: Final = 500  # matches of a search asked for at once
_SERIES, _INSTANCE = "0020000E", "00080018"
_ORIGIN: Final = Origin("Plugins")  # as Orthanc shows it


class WadoRetrieve(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._bench = bench
        self._plan = plan = from_plan(task.plan)
        self._server = bench.dicomweb_servers.get(plan.server)
        self._correlation = task.correlation
        self._begun = task.position if task.run > 1 else -1  # the step of which an earlier run may have done a part
        self._received = 0  # by this run
        self._received_bytes = 0

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        settle()
        target = self._plan.targets[step]
        code = 0
        for each in self._left_of(target) if step == self._begun else (target,):
            try:
                code = self._retrieve(each) or code
            except SinogramError as exc:
                code = passed_over(exc, is_permissive=self._plan.permissive)
        return code

    def _retrieve(self, target: str) -> int:
        """Retrieve and store what an address names; returns the number of an error that was passed over."""
        bench, code = self._bench, 0
        for file in bench.dicomweb_client.retrieve(self._server, target, bench.interruption, self._plan.headers):
            try:
                self._store(file)
            except RemoteFailed:  # from the midst of the file
                raise
            except SinogramError as exc:
                code = passed_over(exc, is_permissive=self._plan.permissive)
        return code

    def _store(self, file: Iterator[bytes]) -> None:
        """Store an instance durably; one that is stored already is fine."""
        with self._bench.ingest.open(_ORIGIN, self._correlation) as upload:
            for piece in file:
                upload.write(piece)
                self._received_bytes += len(piece)
            upload.store()
        self._received += 1

    def _left_of(self, target: str) -> list[str]:
        """Return the addresses of the instances that have not come yet, or the address of them all."""
        found = _OF_MANY.match(target)
        if found is None:
            return [target]
        study = target.partition("/series/")[0]
        try:
            listed = [(found[1] or series, instance) for series, instance in self._listed(target)]
        except RemoteFailed:  # such as a server without QIDO-RS
            return [target]
        if not listed or not all(series and instance for series, instance in listed):
            return [target]
        with self._bench.views.snapshot() as snapshot:
            return [
                f"{study}/series/{series}/instances/{instance}"
                for series, instance in listed
                if not any(find_refs(snapshot, LookupKind.SOP_INSTANCE_UID, instance))
            ]

    def _listed(self, target: str) -> list[tuple[str, str]]:
        """Return the UIDs of series and instance of all instances that an address names. Raises RemoteFailed."""
        bench, headers = self._bench, self._plan.headers
        listed: dict[tuple[str, str], None] = {}
        offset = 0
        while True:
            asked = address(f"{target}/instances", {"limit": str(_PAGE), "offset": str(offset)})
            page = bench.dicomweb_client.search(self._server, asked, bench.interruption, headers)
            known = len(listed)
            listed |= dict.fromkeys((_uid(match, _SERIES), _uid(match, _INSTANCE)) for match in page)
            if len(listed) == known:  # the end, or a server that knows no `offset`
                return list(listed)
            offset += len(page)

    def result(self) -> dict[str, Any]:
        if not self._plan.targets:
            return {}
        return {
            "NetworkUsageMB": str(self._received_bytes >> 20),
            "ReceivedInstancesCount": str(self._received),
        }


def _uid(match: dict[str, Any], tag: str) -> str:
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values and isinstance(values[0], str) else ""
