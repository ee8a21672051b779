"""Events about attachments: files beside a resource, by number, that clients set. And the DICOM file of an instance, as attachment 1.

Each belongs to the aggregate of its resource's patient. What is here says which numbers there are: a further type is a row of `BUILT_IN`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from events.event import Event, personal
from events.identifiers import BlobId, Level, Ref, ResourceId
from events.stored_file import StoredFile

USER_NUMBERS: Final = range(1024, 65536)  # what clients may set, named by `UserContentType` or not
DICOM: Final = 1
DICOM_UNTIL_PIXELS: Final = 3
UNKNOWN_MEDIA_TYPE: Final = "application/octet-stream"


class ContentType(NamedTuple):
    """A type of attachments."""

    number: int
    media_type: str = UNKNOWN_MEDIA_TYPE
    is_removable: bool = True  # by clients; all others are read-only for them


# Orthanc's own, with its names and numbers. Clients set none of them.
BUILT_IN: Final[Mapping[str, ContentType]] = MappingProxyType(
    {
        "dicom": ContentType(DICOM, "application/dicom", is_removable=False),
        "dicom-as-json": ContentType(2, "application/json"),  # Orthanc before 1.9.1 wrote it; never made here
        "dicom-until-pixel-data": ContentType(DICOM_UNTIL_PIXELS, is_removable=False),
    }
)


class AttachmentEvent(Event):
    """Family of the events that concern attachments."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentSet(AttachmentEvent, StoredFile):
    """A file is durable and an attachment, in place of any that was there: `PUT /{level}/{id}/attachments/{name}`."""

    TAG: ClassVar[str] = "attachment-set/1"
    level: Level
    resource: Ref
    number: int  # whatever name it has
    old_revision: int | None  # None: there was none
    revision: int  # 0 for the first file, then one more with each
    id: ResourceId = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentMade(AttachmentEvent, StoredFile):
    """A file that the server itself has made is an attachment, in place of any that was there: the beginning of a compressed instance."""

    TAG: ClassVar[str] = "attachment-made/1"
    level: Level
    resource: Ref
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRemoved(AttachmentEvent):
    """`DELETE /{level}/{id}/attachments/{name}` of one that was there."""

    TAG: ClassVar[str] = "attachment-removed/1"
    level: Level
    resource: Ref
    number: int
    old_revision: int
    id: ResourceId = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRepacked(AttachmentEvent, StoredFile):
    """The same content lies in another file: compressed, or not any more. Its revision stays."""

    TAG: ClassVar[str] = "attachment-repacked/1"
    level: Level
    resource: Ref
    number: int  # 1: of an instance's DICOM file
    replaced: BlobId
    id: ResourceId = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentDamaged(AttachmentEvent):
    """The file of an attachment other than the DICOM file was found to be gone, or not what was stored."""

    TAG: ClassVar[str] = "attachment-damaged/1"
    level: Level
    resource: Ref
    number: int
    blob: BlobId
    kind: str  # of store.blobs.damage.Kind
    found_bytes: int | None  # its size; None where it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRecovered(AttachmentEvent):
    """Such a file is what it should be again: somebody has put it back, or mounted its disk."""

    TAG: ClassVar[str] = "attachment-recovered/1"
    level: Level
    resource: Ref
    number: int
    blob: BlobId
