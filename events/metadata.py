"""Events about metadata that clients set: names or numbers with values, kept beside a resource.

Each belongs to the aggregate of its resource's patient. Metadata of Orthanc's own have no events: they are read from those of the resource.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from events.event import personal
from events.identifiers import Level, Ref, ResourceId
from events.resources import ResourceEvent

USER_NUMBERS: Final = range(1024, 65536)  # what clients may set
# Orthanc's own, with its numbers; they are read-only.
BUILT_IN: Final[Mapping[str, int]] = MappingProxyType(
    {
        "IndexInSeries": 1,
        "ReceptionDate": 2,
        "RemoteAET": 3,
        "ExpectedNumberOfInstances": 4,
        "ModifiedFrom": 5,
        "AnonymizedFrom": 6,
        "LastUpdate": 7,
        "Origin": 8,
        "TransferSyntax": 9,
        "SopClassUid": 10,
        "RemoteIP": 11,
        "CalledAET": 12,
        "HttpUsername": 13,
        "PixelDataOffset": 14,
        "MainDicomTagsSignature": 15,
        "MainDicomSequences": 16,
        "PixelDataVR": 17,
    }
)


class MetadataEvent(ResourceEvent):
    """Events of metadata that has a row of its own: what clients set, and what a resource was made from."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataSet(MetadataEvent):
    """`PUT /{level}/{id}/metadata/{name}`, with the same value as before, too."""

    TAG: ClassVar[str] = "metadata-set/1"
    level: Level
    resource: Ref
    number: int  # 1024 to 65535, whatever name it has
    old_revision: int | None  # None: there was none
    revision: int  # 0 for the first value, then one more with each
    id: ResourceId = personal()
    old_value: bytes | None = personal()
    value: bytes = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataRemoved(MetadataEvent):
    """`DELETE /{level}/{id}/metadata/{name}` of one that was there."""

    TAG: ClassVar[str] = "metadata-removed/1"
    level: Level
    resource: Ref
    number: int
    old_revision: int
    id: ResourceId = personal()
    old_value: bytes = personal()
