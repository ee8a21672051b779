"""Why an association ends: raised where it is noticed, answered in `association`."""

import logging
import os
import traceback
from enum import IntEnum

log = logging.getLogger(__name__)


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class AssociationEnded(Exception):  # not always an error
    """Passes through every handler: no peer is left to answer."""


class Released(AssociationEnded):
    """The peer asks to end the association."""


class PeerAborted(AssociationEnded):
    """The peer has aborted."""

    def __init__(self, reason: int | None = None) -> None:
        """`reason` is None where the peer aborts as the service user, who gives none (PS3.8 Table 9-26)."""
        super().__init__()
        self.reason = reason


class ConnectionLost(AssociationEnded):
    """The peer has closed or broken the connection."""


class TlsFailed(ConnectionLost):
    """The two sides do not agree on TLS: protocol, ciphers or certificates."""


class PeerSilent(AssociationEnded):
    """The peer has sent, or taken, nothing for too long."""


class Refusal(AssociationEnded):
    """The server does not go on: abort as the service user, as Orthanc does."""


class Violation(AssociationEnded):
    """The peer broke the protocol: abort as the service provider."""

    def __init__(self, reason: AbortReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Malformed(Violation):
    """A PDU or command set contradicts its own lengths, or lacks what it must have."""

    def __init__(self, text: str) -> None:
        super().__init__(AbortReason.INVALID_PARAMETER, text)


def log_fault(what: str, error: Exception) -> None:
    """Log a defect of this server: where it is, not the error's text, which may hold a patient's data.

    What the operating system refuses is no defect, and its reason holds no patient's data: one line.
    """
    if isinstance(error, OSError) and error.errno is not None:
        log.error("%s: %s", what, os.strerror(error.errno))
        return
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s: %s\n%s", what, type(error).__name__, where)
