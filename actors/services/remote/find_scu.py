"""C-FIND as a client (PS3.4 §C.4.1, §K.4.1 for worklists)."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from actors.services.remote.association import Association
from actors.services.remote.echo_scu import SERVICE_SYNTAXES
from actors.services.remote.exchange import check_status, exchange
from actors.services.remote.requestor import Proposal
from actors.wire.dicom.command import Element, Field
from actors.wire.dicom.statuses import ANY_PENDING
from actors.wire.errors import FIND_UNAVAILABLE
from store.dicom.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND, WORKLIST_FIND

# As Orthanc: one association for queries of any kind.
PROPOSALS: Final = tuple(
    Proposal(model, SERVICE_SYNTAXES) for model in (PATIENT_ROOT_FIND, STUDY_ROOT_FIND, WORKLIST_FIND)
)


@dataclass(frozen=True, slots=True)
class Match:
    """One answer: its identifier as it came, without file meta information."""

    dataset: bytes
    transfer_syntax: str


def find(association: Association, model: str, encode: Callable[[str], bytes]) -> Generator[Match, None, None]:
    """Ask, and yield the answers as they come; closing the generator sends a C-CANCEL.

    `model` is the abstract syntax; `encode` gives the identifier's bytes in the transfer syntax it is told.
    Raises RemoteFailed (2016 if the peer takes no such queries), Interrupted.
    """
    context = association.context_for(model, code=FIND_UNAVAILABLE)
    identifier = encode(context.transfer_syntax)
    with closing(exchange(association, context, Field.C_FIND, {}, identifier)) as responses:
        for response in responses:
            if response.number(Element.STATUS) in ANY_PENDING:
                yield Match(association.read_dataset(), context.transfer_syntax)
            else:
                # Some announce a dataset here and send none: it is not waited for, and nothing more is asked behind it.
                check_status(association, Field.C_FIND, response)
