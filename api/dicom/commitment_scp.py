"""Storage commitment, Push Model (PS3.4 Annex J), both roles.

As SCP an N-ACTION becomes a job and is answered at once: the job is durable by then. The job reads what is asked for and sends the
report, see `actors.services.jobs.operations.commitment_report`. As SCU the N-EVENT-REPORT of a modality that this server has asked
becomes an event before it is answered.

What Orthanc 1.12.7 ends by an abort (a dataset that lacks something, another action, instance or event) has a status of PS3.7.
"""

import logging
from collections.abc import Callable
from typing import Final

from actors.services.jobs.operations.commitment_plan import CommitmentPlan
from actors.services.remote.commitment_scu import ACTION_TYPE, ALL_SUCCEEDED, SOME_FAILED
from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Element, Field
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.statuses import SUCCESS
from api.dicom.association import Association
from api.dicom.service import FinalResponse, Service
from api.dicom.status import UnknownAction, UnknownEvent, UnknownInstance, comment_on, commitment_status
from store.dicom.commitment import CommitmentReport, read_report, read_request
from store.dicom.identifier import decode_dataset
from store.dicom.matching import Dataset
from store.dicom.uids import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE

log = logging.getLogger(__name__)

DATASET_LIMIT_BYTES: Final = 8 << 20  # some 60,000 instances

Submit = Callable[[CommitmentPlan], None]  # durable when it returns
Record = Callable[[str, CommitmentReport], None]  # likewise; who reports comes first


def create_commitment_services(submit: Submit, record: Record) -> tuple[Service, ...]:
    def on_action(association: Association, context: Context, command: Command) -> FinalResponse:
        dataset = _read(association, context)
        if command.number(Element.ACTION_TYPE_ID) != ACTION_TYPE:
            raise UnknownAction("an action other than Request Storage Commitment")
        _check_instance(command.text(Element.REQUESTED_SOP_INSTANCE_UID))
        transaction, references = read_request(dataset)
        origin = association.origin
        submit(
            CommitmentPlan(
                transaction=transaction,
                remote_aet=origin.remote_aet,
                called_aet=origin.called_aet,
                references=references,
            )
        )
        log.info("storage commitment of %d instances asked for by %r", len(references), origin.remote_aet)
        return FinalResponse(SUCCESS, _named(command, Element.ACTION_TYPE_ID))

    def on_report(association: Association, context: Context, command: Command) -> FinalResponse:
        dataset = _read(association, context)
        event_type = command.number(Element.EVENT_TYPE_ID)
        if event_type not in {ALL_SUCCEEDED, SOME_FAILED}:
            raise UnknownEvent("an event that storage commitment does not have")
        _check_instance(command.text(Element.AFFECTED_SOP_INSTANCE_UID))
        report = read_report(dataset, has_failures=event_type == SOME_FAILED)
        record(association.origin.remote_aet, report)
        return FinalResponse(SUCCESS, _named(command, Element.EVENT_TYPE_ID))

    return (
        Service(
            field=Field.N_ACTION,
            operation=Operation.N_ACTION,
            handle=on_action,
            explain=_explain,
            abstract_syntaxes=frozenset({STORAGE_COMMITMENT}),
        ),
        Service(
            field=Field.N_EVENT_REPORT,
            operation=Operation.N_EVENT_REPORT,
            handle=on_report,
            explain=_explain,
            abstract_syntaxes=frozenset({STORAGE_COMMITMENT}),
        ),
    )


def _read(association: Association, context: Context) -> Dataset:
    data = association.read_identifier(DATASET_LIMIT_BYTES)
    with association.slots:
        return decode_dataset(data, context.transfer_syntax, association.settings.find.default_encoding)[0]


def _check_instance(uid: str) -> None:
    if uid != STORAGE_COMMITMENT_INSTANCE:
        raise UnknownInstance("another instance than the well-known one of storage commitment")


def _named(command: Command, what: Element) -> dict[Element, int | str]:
    """What an answer repeats of its request (PS3.7 §10.3.1, §10.3.4)."""
    return {
        Element.AFFECTED_SOP_CLASS_UID: STORAGE_COMMITMENT,
        Element.AFFECTED_SOP_INSTANCE_UID: STORAGE_COMMITMENT_INSTANCE,
        what: command.number(what),
    }


def _explain(error: Exception) -> FinalResponse:
    return FinalResponse(commitment_status(error), comment_on(error))
