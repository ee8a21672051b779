"""The operation `StorageCommitmentScp`: instances are read from end to end, then who has asked is told which of them are here.

A sender may delete what it is told is safe. So a file counts only if it was read in this very run and its digest was right; what
an earlier run has read is read again before the report. A crash may send the report twice, which the standard allows for.
"""

from collections.abc import Callable, Sequence
from typing import Any

from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.commitment_plan import READ_PER_STEP, from_plan
from actors.services.remote.commitment_scu import report_commitment
from actors.wire.errors import RemoteFailed
from events.errors import DamagedFile
from events.identifiers import Level
from store.dicom.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_OBJECT_INSTANCE,
    PROCESSING_FAILURE,
    CommitmentReport,
    Failure,
    Reference,
)
from store.records import Instance
from store.tables import LookupKind
from store.views.current import read_current
from store.views.lookup import find_refs

_IS_HERE = 0  # no Failure Reason


class CommitmentReporting(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._bench = bench
        self._plan = from_plan(task.plan)
        self._last_step = task.steps - 1
        self._reasons: dict[Reference, int] = {}  # of those that this run has looked at

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        references = self._plan.references
        if step < self._last_step:
            self._look_at(references[step * READ_PER_STEP : (step + 1) * READ_PER_STEP])
            settle()
        else:
            self._look_at(references)
            settle()
            self._tell()
        return 0

    def _look_at(self, references: Sequence[Reference]) -> None:
        for reference in references:
            if reference not in self._reasons:
                self._bench.interruption.check()
                self._reasons[reference] = self._judge(reference)

    def _judge(self, reference: Reference) -> int:
        """Return 0 for what is here and whole, else the Failure Reason.

        Of several patients' instances with one UID nobody can tell which is meant: all of the class must be whole.
        """
        with self._bench.views.snapshot() as snapshot:
            refs = find_refs(snapshot, LookupKind.SOP_INSTANCE_UID, reference.sop_instance)
            found = [snapshot.get_ref(Level.INSTANCE, ref) for ref in refs]
        if not found:
            return NO_SUCH_OBJECT_INSTANCE
        fitting = [each for each in found if isinstance(each, Instance) and each.sop_class == reference.sop_class]
        if not fitting:
            return CLASS_INSTANCE_CONFLICT
        return max(map(self._read, fitting))

    def _read(self, instance: Instance) -> int:
        """Read the file of an instance. Raises StorageFailed where nothing can be said of it: the job is not done then."""
        try:
            read_current(self._bench.views, instance, self._bench.blobs.verify_instance)
        except DamagedFile:
            return PROCESSING_FAILURE
        except FileNotFoundError:
            with self._bench.views.snapshot() as snapshot:
                is_there = snapshot.get_instance(instance.id) is not None
            return PROCESSING_FAILURE if is_there else NO_SUCH_OBJECT_INSTANCE
        return _IS_HERE

    def _tell(self) -> None:
        plan, bench = self._plan, self._bench
        modality = bench.modalities.by_aet(plan.remote_aet)
        if modality is None:
            raise RemoteFailed(
                f"{plan.remote_aet} has asked for storage commitment and is no longer a modality: it cannot be told. "
                "Add it to DicomModalities and resubmit the job"
            )
        reasons = self._reasons
        report = CommitmentReport(
            plan.transaction,
            [each for each in plan.references if reasons[each] == _IS_HERE],
            [Failure(*each, reasons[each]) for each in plan.references if reasons[each] != _IS_HERE],
        )
        report_commitment(bench.scu.target(modality, local_aet=plan.called_aet), report, bench.interruption)

    def result(self) -> dict[str, Any]:
        return {}
