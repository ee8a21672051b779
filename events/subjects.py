"""Which resource of the archive an event is about."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from events import attachments, derivation, files, labels, metadata, protection, reconstruction, resources
from events.envelope import tags_of
from events.event import Event
from events.identifiers import Level


class Subject(NamedTuple):
    """Where an event says which resource it is about."""

    level: Level | None  # None: its field `level` tells, or, where it has none, the event that created the resource
    field: str  # that holds the resource's ref; "": the event creates it


_ON_ANY_LEVEL: Final = Subject(None, "resource")
_OF_INSTANCE: Final = Subject(Level.INSTANCE, "instance")
_OF_PATIENT: Final = Subject(Level.PATIENT, "patient")

SUBJECTS: Final[Mapping[type[Event], Subject]] = MappingProxyType({
    resources.InstanceStored: Subject(Level.INSTANCE, ""),
    resources.SeriesCreated: Subject(Level.SERIES, ""),
    resources.StudyCreated: Subject(Level.STUDY, ""),
    resources.PatientCreated: Subject(Level.PATIENT, ""),
    resources.InstanceReceivedAgain: _OF_INSTANCE,
    resources.SeriesCompleted: Subject(Level.SERIES, "series"),
    resources.ResourceStabilized: _ON_ANY_LEVEL,
    resources.ResourceUnsettled: _ON_ANY_LEVEL,
    resources.ResourceDeleted: _ON_ANY_LEVEL,
    resources.RowsPurged: _ON_ANY_LEVEL,
    reconstruction.InstanceReconstructed: _OF_INSTANCE,
    reconstruction.TagsReconstructed: _ON_ANY_LEVEL,
    metadata.MetadataSet: _ON_ANY_LEVEL,
    metadata.MetadataRemoved: _ON_ANY_LEVEL,
    derivation.ResourceDerived: _ON_ANY_LEVEL,
    labels.LabelAdded: _ON_ANY_LEVEL,
    labels.LabelRemoved: _ON_ANY_LEVEL,
    attachments.AttachmentSet: _ON_ANY_LEVEL,
    attachments.AttachmentMade: _ON_ANY_LEVEL,
    attachments.AttachmentRemoved: _ON_ANY_LEVEL,
    attachments.AttachmentRepacked: _ON_ANY_LEVEL,
    attachments.AttachmentDamaged: _ON_ANY_LEVEL,
    attachments.AttachmentRecovered: _ON_ANY_LEVEL,
    files.FileDamaged: _OF_INSTANCE,
    files.FileRecovered: _OF_INSTANCE,
    files.FileHealed: _OF_INSTANCE,
    protection.PatientProtected: _OF_PATIENT,
    protection.PatientUnprotected: _OF_PATIENT,
})  # fmt: skip

BY_TAG: Final[Mapping[str, Subject]] = MappingProxyType({event.TAG: found for event, found in SUBJECTS.items()})
# Tags, old ones, too, of what creates a resource, with the resource's level.
CREATED: Final[Mapping[str, Level]] = MappingProxyType(
    {
        tag: found.level
        for event, found in SUBJECTS.items()
        if not found.field and found.level is not None
        for tag in tags_of(event)
    }
)


def level_of(subject: Subject, get: Callable[[str], int | None]) -> Level | None:
    """Return the level of a subject; `get` returns a value of the event by its name."""
    if subject.level is not None:
        return subject.level
    number = get("level")
    return None if number is None else Level(number)
