"""C-MOVE as a client: a peer is told to send instances somewhere (PS3.4 §C.4.2)."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from actors.services.remote.association import Association
from actors.services.remote.echo_scu import SERVICE_SYNTAXES
from actors.services.remote.exchange import check_status, exchange
from actors.services.remote.requestor import Proposal
from actors.wire.dicom.command import Command, Element, Field
from actors.wire.dicom.statuses import ANY_PENDING
from store.dicom.uids import PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE

PROPOSALS: Final = tuple(Proposal(model, SERVICE_SYNTAXES) for model in (PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the peer says of the sub-operations. What it does not count is None."""

    status: int  # pending or success
    remaining: int | None
    completed: int | None
    failed: int | None
    warnings: int | None

    @property
    def is_last(self) -> bool:
        return self.status not in ANY_PENDING


def move(
    association: Association, model: str, encode: Callable[[str], bytes], destination: str
) -> Generator[Progress, None, None]:
    """Have instances sent to the AE title `destination`; yields each response, the last one included.

    `model` is the abstract syntax; `encode` gives the identifier's bytes in the transfer syntax it is told.
    Closing the generator sends a C-CANCEL. Raises RemoteFailed, also where single sub-operations have failed (0xB000),
    Interrupted.
    """
    context = association.context_for(model)
    elements = {Element.MOVE_DESTINATION: destination}
    identifier = encode(context.transfer_syntax)
    with closing(exchange(association, context, Field.C_MOVE, elements, identifier)) as responses:
        for response in responses:
            association.skip_dataset()  # the failed UIDs, which are the peer's and our log has no use for
            if response.number(Element.STATUS) not in ANY_PENDING:
                check_status(association, Field.C_MOVE, response)
            yield read_progress(response)


def read_progress(response: Command) -> Progress:
    """Return the counts of a response to C-MOVE or C-GET."""

    def count(element: Element) -> int | None:
        return response.number(element) if response.elements.get(element) else None

    return Progress(
        status=response.number(Element.STATUS),
        remaining=count(Element.REMAINING_SUBOPERATIONS),
        completed=count(Element.COMPLETED_SUBOPERATIONS),
        failed=count(Element.FAILED_SUBOPERATIONS),
        warnings=count(Element.WARNING_SUBOPERATIONS),
    )
