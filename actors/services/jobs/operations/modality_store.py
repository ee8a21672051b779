"""The operation `DicomModalityStore`: instances are sent to a modality, one a step. Its plan: `store_plan`.

What a crash repeats is the C-STORE of one instance, which the destination knows as a duplicate.
"""

from collections.abc import Callable
from dataclasses import replace

from actors.services.jobs.operation import PlainOperation, Task, Workbench
from actors.services.jobs.operations.passing_over import passed_over
from actors.services.jobs.operations.store_plan import StorePlan, from_plan
from actors.services.remote.commitment_scu import NotOffered
from actors.services.remote.commitment_transactions import CommitmentTransactions, list_references
from actors.services.remote.outgoing import admission
from actors.services.remote.store_scu import Originator
from actors.services.remote.stored_sender import StoredSender, fallbacks_for
from actors.services.remote.target import ScuSettings, Target
from events.errors import SinogramError


class ModalityStore(PlainOperation):
    """One run of a job."""

    def __init__(self, task: Task, bench: Workbench) -> None:
        self._plan = plan = from_plan(task.plan)
        self._bench = bench
        self._correlation = task.correlation
        self._target = target = target_of(plan, bench.scu)
        self._sender = StoredSender(
            bench.views,
            bench.blobs,
            bench.associations,
            target,
            plan.instances,
            bench.codecs,
            fallbacks=fallbacks_for(bench.scu, plan.modality),
            interruption=bench.interruption,
            originator=Originator(plan.originator_aet, plan.originator_id) if plan.originator_aet else None,
            admits=admission(bench.filters, target, lambda: bench.ingest.settings().default_encoding, task.correlation),
        )

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        if step == len(self._plan.instances):
            settle()
            self._sender.close()  # some destinations serve one association at a time
            self._ask_for_commitment()
            return 0
        try:
            self._sender.check(self._sender.send(step, settle))
        except SinogramError as exc:
            return passed_over(exc, is_permissive=self._plan.permissive)
        return 0

    def _ask_for_commitment(self) -> None:
        """Ask the modality to vouch for what it has got; a crash may ask twice, in the same transaction."""
        plan, bench = self._plan, self._bench
        references = list_references(bench.views, plan.instances)
        transactions = CommitmentTransactions(bench.index, bench.scu.commitments_remembered)
        try:
            transactions.ask(self._target, plan.commitment, references, bench.interruption, self._correlation)
        except NotOffered as exc:  # the job has failed, as in Orthanc; who reads that must not send again
            raise NotOffered(f"Sending is done, but {exc.details}", code=exc.code) from exc

    def close(self) -> None:
        self._sender.close()


def target_of(plan: StorePlan, scu: ScuSettings) -> Target:
    """Return the other end. Raises RemoteFailed if it wants TLS and that is not configured."""
    target = scu.target(plan.modality, local_aet=plan.local_aet, timeout_s=plan.timeout_s)
    return replace(target, called_aet=plan.called_aet or target.called_aet)
