"""C-STORE as a client (PS3.4 Annex B): which contexts to propose for what is held, which one to use, one exchange.

Every transfer syntax in which instances of a SOP class are stored is a context of its own, so that the peer cannot
choose another one for it; where datasets may be transcoded, so is every uncompressed one, for of several syntaxes in one
context it is the peer that chooses, and not `DicomScuPreferredTransferSyntax`.
An association has room for 128 contexts: what does not fit is for the next one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from actors.services.remote.association import Association
from actors.services.remote.exchange import check_status
from actors.services.remote.requestor import MOST_CONTEXTS, Proposal
from actors.services.remote.target import Target
from actors.services.transcoding.targets import CannotTranscode, can_transcode
from actors.wire.dicom.command import DATASET_FOLLOWS, Command, Element, Field, encode_command
from actors.wire.dicom.pdu import Context
from actors.wire.errors import NO_PRESENTATION_CONTEXT, RemoteFailed

_MEDIUM: Final = 0  # priority


class Kind(NamedTuple):
    """The properties of an instance that decide in which context it can be sent."""

    sop_class: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Originator:
    """The peer whose C-MOVE has caused a C-STORE, as the destination is told (PS3.7 §9.1.1.1)."""

    aet: str
    message_id: int


def plan_contexts(kinds: Iterable[Kind], fallbacks: Sequence[str]) -> tuple[list[Proposal], frozenset[Kind]]:
    """Return what to propose, and the kinds it is enough for: as many of the first ones as one association takes.

    `fallbacks` are the syntaxes that datasets may be transcoded to, in the order of preference.
    """
    stored: dict[str, list[str]] = {}
    planned: set[Kind] = set()
    room = MOST_CONTEXTS
    for kind in kinds:
        if kind in planned:
            continue
        held = stored.get(kind.sop_class, [])
        with_it = [*held, kind.transfer_syntax]
        room -= len(_contexts(with_it, fallbacks)) - len(_contexts(held, fallbacks))
        if room < 0:
            break
        planned.add(kind)
        stored[kind.sop_class] = with_it
    proposals = [
        Proposal(sop_class, (syntax,)) for sop_class, held in stored.items() for syntax in _contexts(held, fallbacks)
    ]
    return proposals, frozenset(planned)


def _contexts(held: Sequence[str], fallbacks: Sequence[str]) -> list[str]:
    """The syntaxes of a class's contexts: those that at least one of those held can be made into, then those held.

    The latter last: whatever it has accepted, gdcmscu 3.0 reads all datasets in that of the last context.
    """
    made = (
        syntax for syntax in fallbacks if syntax not in held and any(can_transcode(source, syntax) for source in held)
    )
    return [*made, *held]


def make_dataset(
    association: Association, kind: Kind, fallbacks: Sequence[str], make: Callable[[str], tuple[str, memoryview]]
) -> tuple[Context, str, memoryview]:
    """Return the context to send in, and the SOP Instance UID and the dataset that `make` makes in its transfer syntax.

    That is the stored syntax, else the first one of those that the peer takes that the dataset can be had in. Raises RemoteFailed;
    CannotTranscode of the last one; what else `make` raises.
    """
    possible = [syntax for syntax in fallbacks if can_transcode(kind.transfer_syntax, syntax)]
    found = [association.find_context(kind.sop_class, syntax) for syntax in (kind.transfer_syntax, *possible)]
    contexts = [context for context in found if context is not None]
    for context in contexts:
        try:
            return context, *make(context.transfer_syntax)
        except CannotTranscode:
            if context is contexts[-1]:
                raise
    if association.find_context(kind.sop_class) is None:
        raise class_refused(kind)
    raise not_negotiated(association.target, kind)


def class_refused(kind: Kind) -> RemoteFailed:
    """The error for a SOP class that the peer takes in no syntax. The texts and numbers of both are Orthanc's."""
    return RemoteFailed(
        f"Cannot C-Store an instance of SOPClassUID {kind.sop_class}, "
        "the destination has not accepted any TransferSyntax for this SOPClassUID.",
        code=NO_PRESENTATION_CONTEXT,
    )


def not_negotiated(target: Target, kind: Kind) -> RemoteFailed:
    """The error for a kind of instance that fits no accepted context."""
    return RemoteFailed(
        "No valid presentation context was negotiated for "
        f"SOP class UID [{kind.sop_class}] and transfer syntax [{kind.transfer_syntax}] "
        f"while sending to modality [{target.called_aet}]"
    )


def store(
    association: Association,
    context: Context,
    sop_instance: str,
    dataset: memoryview,
    *,
    originator: Originator | None = None,
    settle: Callable[[], None] | None = None,
) -> Command:
    """Send an instance and wait for the response, whatever it says. Raises RemoteFailed, Interrupted.

    `settle` is called before the last fragment leaves: until then the peer cannot have stored anything.
    """
    question = association.begin(Field.C_STORE, context, sop_instance)
    elements: dict[Element, int | str] = {
        Element.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
        Element.COMMAND_FIELD: Field.C_STORE,
        Element.MESSAGE_ID: question.message_id,
        Element.PRIORITY: _MEDIUM,
        Element.DATA_SET_TYPE: DATASET_FOLLOWS,
        Element.AFFECTED_SOP_INSTANCE_UID: sop_instance,
    }
    if originator is not None:
        elements[Element.MOVE_ORIGINATOR_AET] = originator.aet
        elements[Element.MOVE_ORIGINATOR_MESSAGE_ID] = originator.message_id
    association.send_large(context, encode_command(elements), dataset, settle)
    return association.receive_response(question)


def check(association: Association, response: Command) -> int:
    """Return the status of a response if the peer has the instance now. Raises RemoteFailed."""
    return check_status(association, Field.C_STORE, response)
