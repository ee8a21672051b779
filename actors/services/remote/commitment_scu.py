"""Storage commitment, Push Model (PS3.4 Annex J): this server asks (N-ACTION), or reports to who has asked (N-EVENT-REPORT).

Both are one request of the normalized services with one answer; they differ in their numbers. A report comes on an association
on which this server is SCP, so it offers that role alone, as Orthanc 1.12.7 does.
"""

from collections.abc import Sequence
from typing import Final

from actors.services.remote.association import Association
from actors.services.remote.echo_scu import SERVICE_SYNTAXES
from actors.services.remote.requestor import Proposal, open_association
from actors.services.remote.target import Target
from actors.wire.dicom.command import DATASET_FOLLOWS, Element, Field, encode_command
from actors.wire.dicom.statuses import RESOURCE_LIMITATION, SUCCESS
from actors.wire.errors import NO_PRESENTATION_CONTEXT, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from store.dicom.commitment import CommitmentReport, Reference, report_dataset, request_dataset
from store.dicom.identifier import encode_dataset
from store.dicom.matching import Dataset
from store.dicom.uids import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE

REQUEST: Final = Proposal(STORAGE_COMMITMENT, SERVICE_SYNTAXES)
REPORT: Final = Proposal(STORAGE_COMMITMENT, SERVICE_SYNTAXES, we_serve=True, we_use=False)

ACTION_TYPE: Final = 1  # Request Storage Commitment
ALL_SUCCEEDED: Final = 1  # event types
SOME_FAILED: Final = 2


class NotOffered(RemoteFailed):
    """A modality accepts no association for storage commitment."""


def ask_for_commitment(
    target: Target, transaction: str, references: Sequence[Reference], interruption: Interruption
) -> None:
    """Ask a modality to vouch for instances; its report comes later. Raises NotOffered, RemoteFailed, Interrupted."""
    elements: dict[Element, int | str] = {
        Element.REQUESTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
        Element.REQUESTED_SOP_INSTANCE_UID: STORAGE_COMMITMENT_INSTANCE,
        Element.ACTION_TYPE_ID: ACTION_TYPE,
    }
    dataset = request_dataset(transaction, references)
    try:
        with open_association(target, (REQUEST,), interruption) as association:
            _exchange(association, Field.N_ACTION, elements, dataset)
    except RemoteFailed as exc:
        if exc.code == NO_PRESENTATION_CONTEXT:
            raise NotOffered(f"{target.called_aet} does not offer storage commitment", code=exc.code) from exc
        raise


def report_commitment(target: Target, report: CommitmentReport, interruption: Interruption) -> None:
    """Tell a modality what this server vouches for. Raises RemoteFailed, Interrupted."""
    elements: dict[Element, int | str] = {
        Element.AFFECTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
        Element.AFFECTED_SOP_INSTANCE_UID: STORAGE_COMMITMENT_INSTANCE,
        Element.EVENT_TYPE_ID: SOME_FAILED if report.failed else ALL_SUCCEEDED,
    }
    with open_association(target, (REPORT,), interruption) as association:
        _exchange(association, Field.N_EVENT_REPORT, elements, report_dataset(report))


def _exchange(association: Association, field: Field, elements: dict[Element, int | str], dataset: Dataset) -> None:
    context = association.context_for(STORAGE_COMMITMENT)
    question = association.begin(field, context, STORAGE_COMMITMENT_INSTANCE)
    command = elements | {
        Element.COMMAND_FIELD: field,
        Element.MESSAGE_ID: question.message_id,
        Element.DATA_SET_TYPE: DATASET_FOLLOWS,
    }
    association.send(context, encode_command(command), (encode_dataset(dataset, context.transfer_syntax, "Ascii"),))
    response = association.receive_response(question)
    association.skip_dataset()  # an event reply or action reply, which says nothing here
    status = response.number(Element.STATUS)
    if status != SUCCESS:
        raise RemoteFailed(
            f"Storage commitment - The request cannot be handled by remote AET: {association.target.called_aet}",
            trouble=Trouble.BUSY if status == RESOURCE_LIMITATION else Trouble.FINAL,
            dimse_status=status,
        )
