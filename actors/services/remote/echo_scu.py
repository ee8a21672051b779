"""C-ECHO as a client (PS3.4 Annex A)."""

from typing import Final

from actors.services.remote.association import Association
from actors.services.remote.requestor import Proposal
from actors.wire.dicom.command import NO_DATASET, Element, Field, encode_command
from actors.wire.dicom.statuses import SUCCESS
from actors.wire.errors import RemoteFailed
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE, VERIFICATION

SERVICE_SYNTAXES: Final = (EXPLICIT_LE, IMPLICIT_LE)  # of requests that carry no pixels
PROPOSAL: Final = Proposal(VERIFICATION, SERVICE_SYNTAXES)


def echo(association: Association) -> None:
    """Ask whether the peer is there. Raises RemoteFailed, Interrupted."""
    context = association.context_for(VERIFICATION)
    question = association.begin(Field.C_ECHO, context)
    association.send(context, encode_request(question.message_id))
    response = association.receive_response(question)
    status = response.number(Element.STATUS)
    if status != SUCCESS:
        raise RemoteFailed(
            f'C-ECHO SCU to AET "{association.target.called_aet}" has failed with DIMSE status 0x{status:04X}',
            dimse_status=status,
        )


def encode_request(message_id: int) -> bytes:
    """The command set of a C-ECHO."""
    return encode_command(
        {
            Element.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            Element.COMMAND_FIELD: Field.C_ECHO,
            Element.MESSAGE_ID: message_id,
            Element.DATA_SET_TYPE: NO_DATASET,
        }
    )
