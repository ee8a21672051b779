"""Commands about metadata that clients set."""

from dataclasses import dataclass
from typing import ClassVar, Final

from actors.messages.commands.revisions import RevisedCommand
from events.identifiers import ResourceId

# Every version of a value stays in the log, twice: as the new one, then as the old one.
MAX_VALUE_BYTES: Final = 1 << 20
# Of all values of a resource: an answer that shows them all is made in memory.
MAX_TOTAL_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMetadata(RevisedCommand):
    """Keep a value beside a resource, in place of any that is there. Replies its revision.

    Raises NotFound, InvalidRequest, RevisionConflict. Of whatever level the resource is, as in Orthanc. Each is an event, with the same value, too: `/changes` lists it.
    """

    ACTOR: ClassVar[str] = "rest"
    id: ResourceId
    number: int
    value: bytes
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMetadata(RevisedCommand):
    """Remove such a value. Replies whether there was one. Raises NotFound, RevisionConflict."""

    ACTOR: ClassVar[str] = "rest"
    id: ResourceId
    number: int
    correlation: bytes
