"""What can go wrong with a remote modality."""

from enum import Enum

from events.errors import PeerFailed


class Trouble(Enum):
    """Why a run ended early, as far as trying again is concerned."""

    UNREACHABLE = "unreachable"  # no connection, or it was lost
    TIMEOUT = "timeout"  # a step took longer than it may
    BUSY = "busy"  # the remote, or this server, says: later
    FINAL = "final"  # anything else


class RemoteFailed(PeerFailed):
    """A remote could not be reached, refused, or failed."""

    def __init__(self, details: str, *, code: int = 9, trouble: Trouble = Trouble.FINAL) -> None:
        """`code` is Orthanc's number of the error; `details` is safe to show: no secrets, no patient data."""
        super().__init__(details)
        self.code = code
        self.details = details
        self.trouble = trouble


class Interrupted(Exception):  # no error: whoever asked is told by whom it was interrupted
    """What was going on with a remote is no longer wanted."""
