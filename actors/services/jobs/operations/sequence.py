"""The operation `SequenceOfOperations`: what one callback of a script has asked for, one operation a step, in its order.

Its plan is `actors.services.lua.chain.plan`. An operation that fails does not stop the next ones; those that need it are passed over.
An operation that fails with an error that may pass is put off, and so are those that need it: such a step is recorded with a negative number.
The step behind all operations tries again what was put off, and the scheduler's patience is that step's. It fails the job
if anything is not done in the end; if all is, it has nothing to do.

No resource is deleted while something that was to be done with it, with a part of it or with what it belongs to is not done
(Orthanc 1.12.7 deletes what it could not send), and no instance that came after the job was made. A crash repeats one operation at most.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from actors.messages.job_retries import REMOTE
from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.modality_sends import ModalitySends
from actors.services.jobs.operations.modifications import Modifications
from actors.services.jobs.operations.named_resources import (
    Operation,
    are_related,
    find_newer,
    find_resource,
    lineage_of,
    remove_older,
)
from actors.services.jobs.operations.passing_over import code_of
from actors.services.jobs.operations.peer_sends import send_to_peer
from actors.services.jobs.operations.system_calls import call_system
from actors.wire.errors import RemoteFailed, Trouble
from events.errors import Busy, NotFound, SinogramError
from store.views.jobs import get_job, list_failures

log = logging.getLogger(__name__)

# Orthanc's numbers.
NOT_IMPLEMENTED: Final = 2
DATABASE_UNAVAILABLE: Final = 36
_DELETE: Final = "delete"

Settle = Callable[[], None]


class _Failure(NamedTuple):
    """Why an operation is not done."""

    code: int  # Orthanc's; negative for what is put off
    trouble: Trouble
    details: str

    @property
    def is_put_off(self) -> bool:
        return self.code < 0


class SequenceOfOperations(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._task = task
        self._bench = bench
        self._operations: list[Operation] = task.plan["operations"]
        self._modifications = Modifications(bench, task.plan, task.correlation)
        self._sends = ModalitySends(bench, self._operations, self._modifications.resolved, task.correlation)
        self._parts: Mapping[str, Callable[[int, Settle], None]] = {
            "store-scu": self._sends.send,
            "modify": self._modifications.modify,
            "store-peer": lambda number, settle: send_to_peer(bench, self._modifications.resolved(number), settle),
            "call-system": lambda number, settle: call_system(bench, self._modifications.resolved(number), settle),
            _DELETE: self._delete,
        }
        self._is_fresh = False  # something was tried a moment ago and put off
        with bench.views.snapshot() as snapshot:
            self._failures = {step: _recalled(code) for step, code in list_failures(snapshot, task.job)}

    def run_step(self, step: int, settle: Settle) -> int:
        if step == len(self._operations):
            self._finish(settle)
            return 0
        self._attempt(step, settle)
        failure = self._failures.get(step)
        if failure is None:
            return 0
        self._is_fresh |= failure.is_put_off
        return failure.code

    # -- one operation ------------------------------------------------------------------------------------------------

    def _attempt(self, number: int, settle: Settle) -> None:
        """Do an operation, and note whether and how it failed."""
        self._failures.pop(number, None)
        obstacle = next(self._obstacles(number), None)
        if obstacle is not None:
            code, trouble, _ = self._failures[obstacle]
            self._failures[number] = _Failure(code, trouble, f"it needs operation {obstacle + 1}, which is not done")
            return
        name = self._operations[number]["operation"]
        try:
            self._part(name)(number, settle)
        except SinogramError as exc:
            self._failures[number] = failure = _failure_of(exc)
            log.warning(
                "jobs.operation-failed job=%d operation=%d %s: %s", self._task.job, number + 1, name, failure.details
            )

    def _part(self, name: str) -> Callable[[int, Settle], None]:
        part = self._parts.get(name)
        if part is None:
            raise RemoteFailed("This release does not know the operation", code=NOT_IMPLEMENTED)
        return part

    def _delete(self, number: int, settle: Settle) -> None:
        """Delete a resource, but for instances that have come since the script has asked for it: nothing was done with them.

        One that is gone is no error: somebody was faster, or this step is repeated.
        """
        settle()
        operation = self._named(number)
        with self._bench.views.snapshot() as snapshot:
            place = None if operation is None else find_resource(snapshot, operation)
            # What this job has made is newer than it.
            is_ours = self._operations[number]["input"] is not None
            ours = find_newer(snapshot, place, self._task.job) if place is not None and is_ours else []
        if place is not None and not is_ours:
            remove_older(
                self._bench.views, self._bench.index, place, self._task.job, correlation=self._task.correlation
            )
        for level, resource, _ in ours:
            with contextlib.suppress(NotFound):
                self._bench.index.delete(level, resource, correlation=self._task.correlation)

    def _obstacles(self, number: int) -> Iterator[int]:
        """Iterate over the operations that are not done and without which this one must not be."""
        operation = self._operations[number]
        yield from (need for need in operation["needs"] if need in self._failures)
        if operation["operation"] == _DELETE:
            not_done = [other for other in self._failures if other < number and not self._is_deletion(other)]
            named = self._named(number) if not_done else None
            roots = [(other, self._root_of(other)) for other in not_done]
            with self._bench.views.snapshot() as snapshot:
                doomed = () if named is None else lineage_of(snapshot, named)
                yield from (other for other, root in roots if are_related(doomed, lineage_of(snapshot, root)))

    def _named(self, number: int) -> Operation | None:
        """Return an operation with the resource that it works on; None if that is gone, with what it was made from."""
        try:
            return self._modifications.resolved(number)
        except NotFound:
            return None

    def _root_of(self, number: int) -> Operation:
        """Return the operation that names the resource from which all that this one works on was made."""
        operation = self._operations[number]
        while operation["input"] is not None:
            operation = self._operations[operation["input"]]
        return operation

    def _is_deletion(self, number: int) -> bool:
        return bool(self._operations[number]["operation"] == _DELETE)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _finish(self, settle: Settle) -> None:
        """Try again what was put off, deletions last: what they remove may have to be sent again. Raises RemoteFailed."""
        is_last_try = self._is_last_try()
        if self._is_fresh and not is_last_try:
            raise self._not_done()
        put_off = sorted(number for number, failure in self._failures.items() if failure.is_put_off)
        deletions = [number for number in put_off if self._is_deletion(number)]
        for number in put_off:
            if number not in deletions:
                self._attempt(number, settle)
        if not is_last_try and any(self._failures[number].is_put_off for number in self._failures.keys() - deletions):
            raise self._not_done()
        for number in deletions:
            self._attempt(number, settle)
        if self._failures:
            raise self._not_done()

    def _is_last_try(self) -> bool:
        with self._bench.views.snapshot() as snapshot:
            job = get_job(snapshot, self._task.job)
        return job is None or job.progress.tries + 1 >= job.attempts

    def _not_done(self) -> RemoteFailed:
        """Return the error of the job: that of what may still be done, if there is such, so that it is tried again."""
        number = min(self._failures, key=lambda number: (not self._failures[number].is_put_off, number))
        code, trouble, details = self._failures[number]
        name = self._operations[number]["operation"]
        left = f"{len(self._failures)} of {len(self._operations)} operations are not done"
        return RemoteFailed(f"{left}; number {number + 1}, {name}: {details}", code=abs(code), trouble=trouble)

    def close(self) -> None:
        self._sends.close()


def _recalled(code: int) -> _Failure:
    """Return the failure behind the number that an earlier run has recorded; its text was logged then."""
    return _Failure(code, Trouble.UNREACHABLE if code < 0 else Trouble.FINAL, f"failed with error {abs(code)}")


def _failure_of(error: SinogramError) -> _Failure:
    """Return the note of an error; an error that concerns this server, such as a full disk, is raised again."""
    trouble = Trouble.FINAL
    code = code_of(error)
    if isinstance(error, RemoteFailed):
        trouble = error.trouble
    elif isinstance(error, Busy):
        trouble, code = Trouble.BUSY, DATABASE_UNAVAILABLE
    if not code:
        raise error
    return _Failure(-code if trouble in REMOTE.worth_it else code, trouble, str(error))
