"""C-FIND as a client (PS3.4 §C.4.1, §K.4.1 for worklists)."""

from collections.abc import Generator
from contextlib import closing
from typing import Final

from actors.remote.echo_scu import SERVICE_SYNTAXES
from actors.remote.errors import FIND_UNAVAILABLE
from actors.remote.exchange import PENDING, check_status, exchange
from actors.remote.requestor import Association, Proposal
from store.dicom.network.command import Element, Field
from store.dicom.network.pdu import Context

PATIENT_ROOT: Final = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT: Final = "1.2.840.10008.5.1.4.1.2.2.1"
WORKLIST: Final = "1.2.840.10008.5.1.4.31"
# As Orthanc: one association for queries of any kind.
PROPOSALS: Final = tuple(Proposal(model, SERVICE_SYNTAXES) for model in (PATIENT_ROOT, STUDY_ROOT, WORKLIST))


def find(association: Association, context: Context, identifier: bytes) -> Generator[bytes, None, None]:
    """Ask, and yield the identifiers of the answers as they come; closing the generator sends a C-CANCEL.

    `identifier`, and what is yielded, are datasets in the context's transfer syntax. Raises RemoteFailed, Interrupted.
    """
    with closing(exchange(association, context, Field.C_FIND, {}, identifier)) as responses:
        for response in responses:
            if response.number(Element.STATUS) not in PENDING:
                association.skip_dataset()
                check_status(association, Field.C_FIND, response)
            elif response.has_dataset:
                yield association.read_dataset()


def find_context(association: Association, model: str) -> Context:
    """Return the context of an information model. Raises RemoteFailed: the peer takes no such queries."""
    return association.context_for(model, code=FIND_UNAVAILABLE)
