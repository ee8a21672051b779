"""Events about resources that were made from others: `/modify`, `/anonymize` and what else changes datasets."""

from dataclasses import dataclass
from typing import ClassVar

from events.event import personal
from events.identifiers import Level, Ref, ResourceId
from events.metadata import MetadataEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDerived(MetadataEvent):
    """A resource is new, and an instance of another is what it was made from; metadata `ModifiedFrom` or `AnonymizedFrom`."""

    TAG: ClassVar[str] = "resource-derived/1"
    level: Level
    resource: Ref
    is_anonymization: bool
    id: ResourceId = personal()
    source: ResourceId = personal()  # of the same level; it may be gone
