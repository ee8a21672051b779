"""A request with many responses (C-FIND, C-MOVE, C-GET): sent, followed to its last response, cancelled on the way."""

import contextlib
import logging
from collections.abc import Callable, Generator, Mapping
from typing import Final

from actors.services.remote.association import Association, encode_cancel
from actors.wire.dicom import pdu
from actors.wire.dicom.command import (
    DATASET_FOLLOWS,
    RESPONSE,
    Command,
    Element,
    Field,
    encode_command,
    encode_response,
)
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.response import Question, is_done, is_warning
from actors.wire.dicom.statuses import ANY_PENDING, CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, meaning_of
from actors.wire.errors import Interrupted, RemoteFailed, Trouble

CANCEL_LIMIT_S: Final = 3.0  # for a peer to stop answering once it is asked to; then the association is aborted

_OUT_OF_RESOURCES: Final = 0xA7  # of A700 to A7FF
_HINTS: Final = {  # what Orthanc says of it; it answers 422 to the first
    Field.C_FIND: " (unable to process - invalid query ?)",
    Field.C_MOVE: " (unable to process - resource not found ?)",
    Field.C_GET: " (unable to process - resource not found ?)",
}

log = logging.getLogger(__name__)

Elements = Mapping[Element, int | str]


def exchange(
    association: Association,
    context: Context,
    field: Field,
    elements: Elements,
    identifier: bytes,
    on_request: Callable[[Context, Command], None] | None = None,
) -> Generator[Command, None, None]:
    """Send a request with an identifier and yield the responses; the last one is that which is not pending.

    A dataset that follows a response must be read before the next one is asked for. A request the peer sends meanwhile
    goes to `on_request`, which answers it. Closing the generator early sends a C-CANCEL and reads over what still comes;
    so does an interruption, without waiting for anything. Raises RemoteFailed, Interrupted.
    """
    question = association.begin(field, context)
    command = {
        Element.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
        Element.COMMAND_FIELD: field,
        Element.MESSAGE_ID: question.message_id,
        Element.PRIORITY: 0,
        Element.DATA_SET_TYPE: DATASET_FOLLOWS,
        **elements,
    }
    association.send(context, encode_command(command), (identifier,))
    is_over = False
    try:
        for response in _follow(association, question, on_request):
            is_over = response.number(Element.STATUS) not in ANY_PENDING
            yield response
    except Interrupted:
        last_words = pdu.encode_p_data(context.id, encode_cancel(question.message_id), is_command=True, is_last=True)
        association.abort(last_words)
        raise
    except GeneratorExit:
        if not is_over:  # after the last response there is nothing to cancel, and nothing more would come
            _give_up(association, question)
        raise


def _follow(
    association: Association, question: Question, on_request: Callable[[Context, Command], None] | None
) -> Generator[Command, None, None]:
    while True:
        context, command = association.receive()
        if on_request is not None and not command.field & RESPONSE:
            on_request(context, command)
            continue
        association.expect_response(question, context, command)
        yield command
        if command.number(Element.STATUS) not in ANY_PENDING:
            return


def _give_up(association: Association, question: Question) -> None:
    """Cancel, and read on to the last response; an association on which that fails is no longer usable."""

    def refuse(context: Context, command: Command) -> None:
        """Have the peer go on to its last response: it waits for the answer to each sub-operation."""
        association.skip_dataset()
        association.send(context, encode_response(command, OUT_OF_RESOURCES))

    with contextlib.suppress(RemoteFailed, Interrupted):
        association.cancel(question.context, question.message_id)
        association.limit_answers(CANCEL_LIMIT_S)
        association.skip_dataset()
        for _ in _follow(association, question, refuse):
            association.skip_dataset()
        association.lift_limit()


def check_status(association: Association, field: Field, command: Command) -> int:
    """Return the status of a last response if the request was carried out, with warnings or not. Raises RemoteFailed."""
    status = command.number(Element.STATUS)
    peer, service = association.target.called_aet, field.name.replace("_", "-")
    if is_done(field, command):
        if is_warning(field, status):
            meaning = meaning_of(field, status)
            log.warning('%s SCU to AET "%s" has ended with the warning 0x%04X: %s', service, peer, status, meaning)
        return status
    hint = _HINTS.get(field, "") if status == CANNOT_UNDERSTAND else ""
    if status == SUCCESS:
        hint = ", but some instances are counted as failed or remaining"
    raise RemoteFailed(
        f'{service} SCU to AET "{peer}" has failed with DIMSE status 0x{status:04X}{hint}',
        trouble=Trouble.BUSY if status >> 8 == _OUT_OF_RESOURCES else Trouble.FINAL,
        dimse_status=status,
        http_status=422 if field == Field.C_FIND and status == CANNOT_UNDERSTAND else 500,
    )
