"""Turns the end of an association into an error for operators, which says whether trying again may help."""

from actors.wire.dicom.ending import (
    AbortReason,
    AssociationEnded,
    ConnectionLost,
    PeerAborted,
    PeerSilent,
    Released,
    TlsFailed,
    Violation,
)
from actors.wire.dicom.pdu import Rejection
from actors.wire.errors import RemoteFailed, Trouble


def explain_rejection(rejection: Rejection, peer: str) -> RemoteFailed:
    """The error for an association that the peer rejects."""
    return RemoteFailed(
        f'DicomAssociation - connecting to AET "{peer}": Association Rejected: {rejection}',
        trouble=Trouble.BUSY if rejection.is_transient else Trouble.FINAL,
    )


def explain_end(ending: AssociationEnded, peer: str, doing: str) -> RemoteFailed:
    """The error for an association that ended early; `doing` is what was going on, such as "C-FIND to"."""
    return RemoteFailed(f'DicomAssociation - {doing} AET "{peer}": {_describe(ending)}', trouble=_classify(ending))


def _describe(ending: AssociationEnded) -> str:
    match ending:
        case PeerAborted(reason=None):
            return "Peer aborted Association"
        case PeerAborted(reason=reason):
            return f"Peer aborted Association (provider, reason {reason})"
        case TlsFailed():
            return str(ending)
        case ConnectionLost():
            return f"Connection lost: {ending}"
        case PeerSilent():
            return f"Timeout: {ending}"
        case Released():
            return "Peer released Association"
        case _:
            return f"Peer broke the protocol: {ending}"


def _classify(ending: AssociationEnded) -> Trouble:
    match ending:
        case PeerSilent():
            return Trouble.TIMEOUT
        case PeerAborted(reason=reason) if reason not in {None, AbortReason.NOT_SPECIFIED}:
            return Trouble.FINAL  # it says that we broke the protocol
        case TlsFailed():
            return Trouble.FINAL
        case ConnectionLost() | PeerAborted() | Released():
            return Trouble.UNREACHABLE  # as of a peer that is being restarted
        case Violation() | _:
            return Trouble.FINAL
