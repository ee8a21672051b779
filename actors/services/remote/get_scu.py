"""C-GET as a client: a peer sends instances on the association that asks for them (PS3.4 §C.4.3).

An association takes 126 storage contexts besides the query models. Where the classes to come are unknown, each class is proposed in
the uncompressed syntaxes, as by Orthanc. Classes of images that archives keep compressed are proposed once more in the compressed
syntaxes, so that a peer can send what it stores without decompressing it. Where the query names the SOP classes, only those are
proposed, each compressed syntax in a context of its own. The classes are those Orthanc 1.12.7 proposes (observed).
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from actors.services.remote.association import Association
from actors.services.remote.echo_scu import SERVICE_SYNTAXES
from actors.services.remote.exchange import check_status, exchange
from actors.services.remote.move_scu import Progress, read_progress
from actors.services.remote.requestor import MOST_CONTEXTS, Proposal
from actors.services.scripts.errors import ScriptFailed
from actors.wire.dicom.command import Command, Element, Field, encode_response
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.response import is_warning
from actors.wire.dicom.statuses import ANY_PENDING, CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, UNRECOGNIZED_OPERATION
from actors.wire.errors import GET_UNAVAILABLE, RemoteFailed
from events.errors import Busy, CorruptLog, ReadOnlyArchive, SinogramError, StorageFailed, StorageFull
from store.dicom import uids
from store.disk_errors import translated

MODELS: Final = (uids.PATIENT_ROOT_GET, uids.STUDY_ROOT_GET)
STORAGE_LIMIT: Final = MOST_CONTEXTS - len(MODELS)  # contexts left for storage
StorageContext = tuple[str, Sequence[str]]  # a SOP class, the transfer syntaxes of which the peer chooses one

_UNCOMPRESSED: Final = (uids.EXPLICIT_LE, uids.IMPLICIT_LE)
_COMPRESSED: Final = (
    *(f"{uids.JPEG_FAMILY}{number}" for number in (90, 91, 70, 57, 80, 81, 50, 51)),
    uids.RLE_LOSSLESS,
    *(f"{uids.JPEG_FAMILY}{number}" for number in (201, 202, 203)),
)
# CT and MR with their enhanced kinds; CR, DX, mammography, breast tomosynthesis; ultrasound, XA, RF, NM, PET; secondary
# capture; endoscopy, microscopy, photographs, ophthalmology.
_OFTEN_COMPRESSED: Final = (
    "2 2.1 4 4.1 1 1.1 1.2 13.1.3 3.1 6.1 12.1 12.2 20 128 7 7.2 7.4 77.1.1 77.1.4 77.1.6 77.1.5.1"
)
_ALL: Final = """
    1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3.1 4 4.1 4.2 4.3 4.4 6.1 6.2 7 7.1 7.2 7.3 7.4 9.1.1 9.1.2 9.1.3
    9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 11.1 11.2 11.3 11.4 11.5 12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.2 13.1.3 14.1
    14.2 20 66 66.1 66.2 66.3 66.4 66.5 67 68.1 68.2 77.1.1 77.1.1.1 77.1.2 77.1.2.1 77.1.3 77.1.4 77.1.4.1 77.1.5.1
    77.1.5.2 77.1.5.3 77.1.5.4 77.1.6 78.1 78.2 78.3 78.4 78.5 78.6 78.7 78.8 79.1 80.1 81.1 88.11 88.22 88.33 88.34
    88.40 88.50 88.59 88.65 88.67 88.69 88.70 104.1 104.2 128 128.1 130 131 481.1 481.2 481.3 481.4 481.5 481.6
    481.7 481.8 481.9
"""

# Nothing is wrong with the instance.
_TRY_AGAIN: Final = (StorageFull, StorageFailed, CorruptLog, Busy, ReadOnlyArchive, ScriptFailed)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """An instance on its way in."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    parts: Iterator[memoryview]  # the dataset as it comes; a view is valid until the next one is asked for


# Stores an instance durably; returns what the peer is answered. Raises SinogramError: answered by a failure.
Receive = Callable[[Incoming], int]


def storage_contexts(sop_classes: Iterable[str] = ()) -> list[StorageContext]:
    """Return SOP classes with the transfer syntaxes to propose for each; `sop_classes` names those to be expected."""
    known = list(dict.fromkeys(sop_classes))
    if known:
        plain: list[StorageContext] = [(name, _UNCOMPRESSED) for name in known]
        own: list[StorageContext] = [(name, (syntax,)) for syntax in _COMPRESSED for name in known]
        return (plain + own)[:STORAGE_LIMIT]
    plain = [(uids.STORAGE + suffix, _UNCOMPRESSED) for suffix in _ALL.split()]
    return (plain + [(uids.STORAGE + suffix, _COMPRESSED) for suffix in _OFTEN_COMPRESSED.split()])[:STORAGE_LIMIT]


def proposals(storage: Sequence[StorageContext]) -> list[Proposal]:
    """What to propose for C-GET: both models, and the storage classes in the transfer syntaxes given.

    Each pair is one context, of which the peer chooses one syntax; what exceeds `STORAGE_LIMIT` is left out.
    """
    models = [Proposal(model, SERVICE_SYNTAXES) for model in MODELS]
    # Role selection: the peer is to send C-STORE requests, we are to serve them (PS3.7 §D.3.3.4).
    stores = [Proposal(name, tuple(syntaxes), we_serve=True, we_use=False) for name, syntaxes in storage]
    return models + stores[:STORAGE_LIMIT]


def get(
    association: Association, model: str, encode: Callable[[str], bytes], receive: Receive
) -> Generator[Progress, None, None]:
    """Fetch instances; yields each response to the C-GET, the last one included.

    `receive` is called for each instance, in this thread. Closing the generator sends a C-CANCEL. Raises RemoteFailed
    (2045 if the peer has no C-GET), also where single sub-operations have failed (0xB000) or the peer counts more of them
    as done than were taken here; Interrupted.
    """
    context = association.context_for(model, code=GET_UNAVAILABLE)
    identifier = encode(context.transfer_syntax)
    taken = _Taken()

    def on_request(context: Context, command: Command) -> None:
        status = _serve(association, context, command, receive)
        taken.count(command, status)
        association.skip_dataset()  # what an early refusal left unread
        association.send(context, encode_response(command, status))

    with closing(exchange(association, context, Field.C_GET, {}, identifier, on_request)) as responses:
        for response in responses:
            association.skip_dataset()
            if response.number(Element.STATUS) not in ANY_PENDING:
                check_status(association, Field.C_GET, response)
                taken.compare(read_progress(response), association.target.called_aet)
            yield read_progress(response)


class _Taken:
    """The sub-operations of one C-GET as they ended here, whatever the peer says of them."""

    def __init__(self) -> None:
        self._kept = 0
        self._refused = 0

    def count(self, command: Command, status: int) -> None:
        if status == SUCCESS or is_warning(Field.C_STORE, status):
            self._kept += 1
        elif command.field == Field.C_STORE:
            self._refused += 1

    def compare(self, told: Progress, peer: str) -> None:
        """Raises RemoteFailed where a peer believes that more has arrived than is here."""
        done = (told.completed or 0) + (told.warnings or 0)
        if self._refused or done > self._kept:
            raise RemoteFailed(
                f'C-GET SCU to AET "{peer}": the peer reports success, but of {done} instances that it counts as sent '
                f"{self._kept} have arrived and {self._refused} were refused"
            )


def _serve(association: Association, context: Context, command: Command, receive: Receive) -> int:
    """Return the status of a sub-operation."""
    if command.field != Field.C_STORE or not command.has_dataset:
        return UNRECOGNIZED_OPERATION
    sop_class = command.text(Element.AFFECTED_SOP_CLASS_UID) or context.abstract_syntax
    sop_instance = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
    try:
        return receive(Incoming(sop_class, sop_instance, context.transfer_syntax, association.dataset()))
    except SinogramError as exc:
        if not association.is_whole:
            raise  # not the instance but the association has failed
        log.warning("C-GET: an instance is refused: %s: %s", type(exc).__name__, exc)
        return OUT_OF_RESOURCES if isinstance(exc, _TRY_AGAIN) else CANNOT_UNDERSTAND
    except OSError as exc:
        log.error("C-GET: an instance cannot be stored: %s", translated(exc, "the disk"))
        return OUT_OF_RESOURCES
