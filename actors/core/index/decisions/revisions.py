"""Whether a client that changes a value knows the one that is there. Decided in the commit of the change: of many writers one wins."""

from collections.abc import Callable

from actors.messages.commands.revisions import RevisedCommand, Seen
from events.errors import RevisionConflict


def check_seen(command: RevisedCommand, revision: int, md5: Callable[[], str]) -> None:
    """Compare what a client has seen with the value that is there. Raises RevisionConflict."""
    seen = None if command.seen is None else Seen(*command.seen)  # a list, if it came from another process
    if command.must_have_seen if seen is None else not seen.is_of(revision, md5):
        raise RevisionConflict
