"""C-GET as a client: a peer sends instances on the association that asks for them (PS3.4 §C.4.3)."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from actors.services.remote.echo_scu import SERVICE_SYNTAXES
from actors.services.remote.exchange import check_status, exchange
from actors.services.remote.move_scu import Progress, read_progress
from actors.services.remote.requestor import MOST_CONTEXTS, Association, Proposal
from actors.services.scripts.errors import ScriptFailed
from actors.wire.dicom.command import Command, Element, Field, encode_response
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.response import PENDING, SUCCESS, is_warning
from actors.wire.errors import GET_UNAVAILABLE, RemoteFailed
from events.errors import Busy, CorruptLog, ReadOnlyArchive, SinogramError, StorageFailed, StorageFull
from store.dicom.uids import PATIENT_ROOT_GET, STUDY_ROOT_GET
from store.disk_errors import translated

MODELS: Final = (PATIENT_ROOT_GET, STUDY_ROOT_GET)
STORAGE_LIMIT: Final = MOST_CONTEXTS - len(MODELS)  # contexts left for storage

_OUT_OF_RESOURCES: Final = 0xA700
_CANNOT_UNDERSTAND: Final = 0xC000
_UNRECOGNIZED_OPERATION: Final = 0x0211
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


def proposals(storage: Sequence[tuple[str, Sequence[str]]]) -> list[Proposal]:
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
            if response.number(Element.STATUS) not in PENDING:
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
                f'C-GET SCU to AET "{peer}": the peer tells of success, but of {done} instances that it counts as sent '
                f"{self._kept} have arrived and {self._refused} were refused"
            )


def _serve(association: Association, context: Context, command: Command, receive: Receive) -> int:
    """Return the status of a sub-operation."""
    if command.field != Field.C_STORE or not command.has_dataset:
        return _UNRECOGNIZED_OPERATION
    sop_class = command.text(Element.AFFECTED_SOP_CLASS_UID) or context.abstract_syntax
    sop_instance = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
    try:
        return receive(Incoming(sop_class, sop_instance, context.transfer_syntax, association.dataset()))
    except SinogramError as exc:
        if not association.is_whole:
            raise  # not the instance but the association has failed
        log.warning("C-GET: an instance is refused: %s: %s", type(exc).__name__, exc)
        return _OUT_OF_RESOURCES if isinstance(exc, _TRY_AGAIN) else _CANNOT_UNDERSTAND
    except OSError as exc:
        log.error("C-GET: an instance cannot be stored: %s", translated(exc, "the disk"))
        return _OUT_OF_RESOURCES
