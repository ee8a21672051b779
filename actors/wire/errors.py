"""Errors of remote modalities and servers."""

from enum import Enum
from typing import Final

from events.errors import PeerFailed

# Orthanc's numbers.
BAD_SEQUENCE_OF_CALLS: Final = 6
NETWORK_PROTOCOL: Final = 9
NO_PRESENTATION_CONTEXT: Final = 2015
FIND_UNAVAILABLE: Final = 2016
GET_UNAVAILABLE: Final = 2045

_LATER: Final = frozenset({408, 425, 429, 502, 503, 504, 507})  # RFC 9110, 6585 and 4918: may pass by itself


class Trouble(Enum):
    """Why a run ended early, as far as trying again is concerned."""

    UNREACHABLE = "unreachable"  # no connection, or it was lost
    TIMEOUT = "timeout"  # a step took longer than it may
    BUSY = "busy"  # the remote, or this server, says: later
    FINAL = "final"  # anything else


class RemoteFailed(PeerFailed):
    """A remote could not be reached, refused, or failed."""

    def __init__(
        self,
        details: str,
        *,
        code: int = NETWORK_PROTOCOL,
        trouble: Trouble = Trouble.FINAL,
        dimse_status: int | None = None,
        http_status: int = 500,
    ) -> None:
        """`code` is Orthanc's number of the error; `details` is safe to show: no secrets, no patient data.

        `dimse_status` is the remote's where it gave one; `http_status` is what Orthanc answers.
        """
        super().__init__(details)
        self.code = code
        self.details = details
        self.trouble = trouble
        self.dimse_status = dimse_status
        self.http_status = http_status


class RefusedByHttp(RemoteFailed):
    """A remote has answered, with an HTTP status that is no success."""

    def __init__(self, who: str, status: int) -> None:
        trouble = Trouble.BUSY if status in _LATER else Trouble.FINAL
        super().__init__(f"{who} has answered with HTTP status {status}", trouble=trouble)
        self.status = status


class Interrupted(Exception):  # no error: the interrupter itself informs the caller
    """The work with a remote is no longer wanted."""
