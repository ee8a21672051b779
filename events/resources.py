"""Events about patients, studies, series and instances.

Every event that concerns one resource has that resource's patient as its aggregate. References between resources are
`Ref`s (sequences of creation), never Orthanc identifiers, which can be guessed from a PatientID.

One stored file can cause four events. They stand in the order in which Orthanc's `/changes` lists them: the instance,
then what had to be created above it. So `InstanceStored` may name a series whose `SeriesCreated` is the next event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from events.event import Event, personal
from events.identifiers import Level, Ref, ResourceId
from events.received import Originated, ReceivedInstance


class ResourceEvent(Event):
    """Family of the events that concern resources of the archive."""

    __slots__ = ()


class CreationEvent(ResourceEvent):
    """Events of resources: a patient, study or series was created above an instance."""

    __slots__ = ()


class StabilityEvent(ResourceEvent):
    """Events of resources: one is complete for now, or is not."""

    __slots__ = ()


class RemovalEvent(ResourceEvent):
    """Events of resources: some leave the archive."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStored(ResourceEvent, ReceivedInstance):
    """A DICOM file is durable on disk and part of the archive (PS3.4 Annex B, or `POST /instances`)."""

    TAG: ClassVar[str] = "instance-stored/2"
    series: Ref
    study: Ref
    patient: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReceivedAgain(ResourceEvent, Originated):
    """An instance that is there was sent once more, and was not stored again; its origin is that of this time.

    Recorded only while a script wants to hear of it (OnStoredInstance).
    """

    TAG: ClassVar[str] = "instance-received-again/1"
    instance: Ref
    id: ResourceId = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCreated(CreationEvent):
    """The first instance of a series arrived."""

    TAG: ClassVar[str] = "series-created/1"
    study: Ref
    patient: Ref
    expected_instances: int | None  # where the first instance told
    id: ResourceId = personal()
    tags: Mapping[int, str] = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCreated(CreationEvent):
    """The first instance of a study arrived."""

    TAG: ClassVar[str] = "study-created/1"
    patient: Ref
    id: ResourceId = personal()
    tags: Mapping[int, str] = personal()
    patient_tags: Mapping[int, str] = personal()  # the patient as this study's first instance describes it


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientCreated(CreationEvent):
    """The first instance of a patient arrived."""

    TAG: ClassVar[str] = "patient-created/1"
    id: ResourceId = personal()
    tags: Mapping[int, str] = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCompleted(ResourceEvent):
    """A series holds as many instances as its first one announced."""

    TAG: ClassVar[str] = "series-completed/1"
    series: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStabilized(StabilityEvent):
    """A patient, study or series has received nothing for `StableAge` seconds, or a script says that it is complete."""

    TAG: ClassVar[str] = "resource-stabilized/1"
    level: Level
    resource: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUnsettled(StabilityEvent):
    """A script says that a patient, study or series is not complete yet: it waits `StableAge` seconds from here."""

    TAG: ClassVar[str] = "resource-unsettled/1"
    level: Level
    resource: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDeleted(RemovalEvent):
    """A resource and all below it left the archive; their rows follow in `RowsPurged`.

    `resource` is the highest ancestor that would otherwise have been left empty; `requested` is what was asked for.
    """

    TAG: ClassVar[str] = "resource-deleted/2"
    level: Level
    resource: Ref
    requested_level: Level
    requested: Ref
    # The option that demands it: MaximumPatientCount or MaximumStorageSize, which recycle patients, OverwriteInstances; "" if somebody asked.
    reason: str = ""
    id: ResourceId = personal()  # of `resource`
    requested_id: ResourceId = personal()
    remote_ip: str = personal()
    username: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPurged(RemovalEvent):
    """Up to `limit` of the instances below a deleted resource left the read models; their files are condemned.

    Deletion hides a subtree with one event; its rows go in steps, so that no step holds the writer for long. The steps
    are events because replay must reproduce the read models after each of them.
    """

    TAG: ClassVar[str] = "rows-purged/2"
    resource: Ref  # the deleted root
    limit: int
    # [level, identifier] of each resource that left in this step, as Orthanc tells of them: children before their parent; what
    # was asked for is the last of the last step, and what that left empty above comes just before it, from the top.
    deleted: list[list[Any]] = personal()
