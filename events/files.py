"""Events about the files of instances: damage that was found, and its repair.

They have the aggregate of the instance's patient. An instance stays what it is while its file is damaged: it is listed,
and a client that asks for its file is told of the damage.
"""

from dataclasses import dataclass
from typing import ClassVar

from events.event import Event
from events.identifiers import BlobId, Ref
from events.received import ReceivedInstance


class FileEvent(Event):
    """Family of the events that concern the files of instances."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDamaged(FileEvent):
    """The file of an instance was found to be gone, or not what was stored."""

    TAG: ClassVar[str] = "file-damaged/1"
    instance: Ref
    blob: BlobId
    kind: str  # of store.blobs.damage.Kind
    found_bytes: int | None  # its size; None where it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecovered(FileEvent):
    """A file that was damaged or gone is what it should be again: somebody has put it back, or mounted its disk."""

    TAG: ClassVar[str] = "file-recovered/1"
    instance: Ref
    blob: BlobId


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHealed(FileEvent, ReceivedInstance):
    """The same instance was sent again, and its durable file has taken the place of a damaged one.

    The values are those of the file as it came now. The bytes may differ from the first ones.
    """

    TAG: ClassVar[str] = "file-healed/2"
    instance: Ref
    damaged: BlobId  # what it replaces
