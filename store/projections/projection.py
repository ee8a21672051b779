"""What a projection declares: the one form of all read models.

Each projection either handles an event type or names it, or its family, as none of its concern. A new event type therefore
needs a decision for every projection (a test demands it).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from events.attachments import AttachmentEvent
from events.commitments import CommitmentEvent
from events.dicomweb_servers import DicomWebServerEvent
from events.event import Event
from events.files import FileEvent
from events.identifiers import Level, Ref, Seq
from events.jobs import JobEvent
from events.labels import LabelEvent
from events.peers import PeerEvent
from events.protection import ProtectionEvent
from events.reconstruction import ReconstructionEvent
from events.resources import ResourceEvent
from events.scripts import ScriptEvent
from events.server import (
    AnonymousNameDrawn,
    ChangesCleared,
    ExportsCleared,
    MainTagsChosen,
    ModalityEvent,
    ResourceExported,
    ServerEvent,
)
from events.worklists import WorklistEvent
from store.batch import Batch
from store.log import Appended

# All events that are not about the server, by family.
BESIDE_SERVER: Final = (
    *(ResourceEvent, LabelEvent, AttachmentEvent, ProtectionEvent, FileEvent, JobEvent, ScriptEvent),
)
# Those that are, by family or one by one.
OF_SERVER: Final = (
    *(ModalityEvent, PeerEvent, DicomWebServerEvent, CommitmentEvent, WorklistEvent),
    *(ChangesCleared, ExportsCleared, ResourceExported, MainTagsChosen, AnonymousNameDrawn),
)
FAMILIES: Final = (*BESIDE_SERVER, ServerEvent)
# The families of which no event makes or removes a resource.
BESIDE_RESOURCES: Final = (
    ReconstructionEvent,
    *(family for family in FAMILIES if family is not ResourceEvent),
)


def without(families: Iterable[type[Event]], *own: type[Event]) -> tuple[type[Event], ...]:
    """Return the families of which a projection handles no event."""
    return tuple(family for family in families if family not in own)


Apply = Callable[[Batch, Appended[Any]], None]


class Gone(NamedTuple):
    """A resource that leaves the read models."""

    level: Level
    ref: Ref
    row: list[Any]  # its own, as it was (store.projections.rows)
    deleted_at: Seq  # of the event that deleted it, or what lies above it
    seq: Seq  # of the event under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """How rows are written again from the rows of other tables, one by one: for archives that lack them or have older ones."""

    name: str  # under which its position and the version are kept
    tables: tuple[bytes, ...]  # emptied before
    sources: tuple[bytes, ...]  # read in this order
    add: Callable[[Batch, bytes, bytes, bytes], None]  # given table, key and row of a source
    is_missing: Callable[[Batch], bool]  # asked of an archive that is older than the recorded version
    version: int = 1  # raised with what `add` writes: the next start rebuilds


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One or several read models that the same events change."""

    tables: tuple[bytes, ...] = ()  # its own; others are declared by theirs
    handles: Mapping[type[Event], Apply]
    ignores: tuple[type[Event], ...]  # types, and families of which it handles none
    forget: Callable[[Batch, Gone], None] | None = None  # called for each resource that leaves
    rebuild: Rebuild | None = None


def are_empty(*tables: bytes) -> Callable[[Batch], bool]:
    """Return a function that tells whether a batch sees no row in any of these tables."""
    return lambda batch: all(next(batch.keys(table, b""), None) is None for table in tables)
