"""What commands have in common that change a value with a revision: a metadata, an attachment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from actors.messages.commands.command import Command


class Seen(NamedTuple):
    """The version of a value that a client knows."""

    revision: int
    md5: str | None = None  # of the value, in hexadecimal, where the client has said it

    def is_of(self, revision: int, md5: Callable[[], str]) -> bool:
        """Tell whether this is the version that is there."""
        return self.revision == revision and (self.md5 is None or self.md5 == md5())


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisedCommand(Command):
    """Raises RevisionConflict where another value is there than its client has seen. One that is not there yet may be set by all."""

    seen: Seen | None = None  # None: the client says nothing of it
    must_have_seen: bool = False  # then it has to (`CheckRevisions`)
