"""The transactions of storage commitment that this server asks for, and what becomes of them in the log."""

from collections.abc import Iterable, Sequence

from actors.messages.commands.commitments import ForgetCommitment, ReportCommitment, RequestCommitment
from actors.messages.index_client import IndexClient
from actors.services.remote.commitment_scu import ask_for_commitment
from actors.services.remote.target import Target
from actors.wire.interruption import Interruption
from events.errors import NotFound
from events.identifiers import ResourceId
from store.dicom.commitment import CommitmentReport, Reference
from store.dicom.tags import SOP_INSTANCE_UID
from store.views.views import Views


class CommitmentTransactions:
    """Thread-safe."""

    def __init__(self, index: IndexClient, remembered: int) -> None:
        """`remembered` is StorageCommitmentReportsSize."""
        self._index = index
        self._remembered = remembered

    def ask(
        self,
        target: Target,
        transaction: str,
        references: Sequence[Reference],
        interruption: Interruption,
        correlation: bytes = b"",
    ) -> None:
        """Ask a modality, once the transaction is durable: its report may come before its answer. Raises RemoteFailed, Interrupted."""
        command = RequestCommitment(
            transaction=transaction,
            remote_aet=target.called_aet,
            references=[list(reference) for reference in references],
            most=self._remembered,
            correlation=correlation,
        )
        self._index.change_commitment(command)
        ask_for_commitment(target, transaction, references, interruption)

    def forget(self, transaction: str, correlation: bytes = b"") -> None:
        """Forget a transaction that nobody was told of, unless there is a report."""
        self._index.change_commitment(ForgetCommitment(transaction=transaction, correlation=correlation))

    def record(self, remote_aet: str, report: CommitmentReport) -> None:
        """Record what a modality has said; durable when it returns."""
        command = ReportCommitment(
            transaction=report.transaction,
            remote_aet=remote_aet,
            succeeded=[list(each) for each in report.succeeded],
            failed=[list(each) for each in report.failed],
            most=self._remembered,
        )
        self._index.change_commitment(command)


def list_references(views: Views, instances: Iterable[ResourceId]) -> list[Reference]:
    """Return SOP class and SOP instance of instances, in their order. Raises NotFound if one is gone."""
    references = []
    for instance in instances:
        with views.snapshot() as snapshot:
            record = snapshot.get_instance(instance)
        if record is None:
            raise NotFound("An instance has been deleted: no other server can be asked to vouch for it any more")
        references.append(Reference(record.sop_class, record.tags.get(SOP_INSTANCE_UID, "")))
    return references
