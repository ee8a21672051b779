"""The read models' values, as views return them: frozen, plain, decoded from rows of `store.projections`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple, Self

from events.identifiers import Level, Ref, ResourceId, Seq
from events.received import Originated, ReceivedInstance

Tags = Mapping[int, str]  # 0xGGGGEEEE -> text as Orthanc shows it (decoded, padding stripped, values joined by "\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A patient, study or series."""

    ref: Ref
    level: Level
    id: ResourceId
    parent: Ref | None  # None for a patient
    tags: Tags  # main DICOM tags of this level
    patient_tags: Tags  # of a study: the patient's tags as this study's first instance gave them; else empty
    last_update_us: int  # UTC since 1970: when the last instance arrived
    is_stable: bool
    expected_instances: int | None  # of a series, if its first instance told
    study_count: int  # descendants; 0 where the level has none
    series_count: int
    instance_count: int
    size_bytes: int  # of what all DICOM files below hold
    disk_bytes: int  # of these files as they lie there


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an instance came from (Orthanc's `RequestOrigin` and its fields; empty where not applicable)."""

    kind: str  # "RestApi", "DicomProtocol", "Lua", "Plugins", "WebDav" or "Unknown"
    remote_ip: str = ""
    remote_aet: str = ""
    called_aet: str = ""
    username: str = ""

    @classmethod
    def of(cls, value: Originated) -> Self:
        """Return where a command, an event or an instance says that it came from."""
        return cls(*_ORIGIN(value))

    def facts(self) -> dict[str, Any]:
        """Return the same as the fields of a command or event."""
        return dict(zip(_ORIGIN_NAMES, _OWN(self), strict=True))


_ORIGIN_NAMES = tuple(f.name for f in fields(Originated))  # in the order of Origin's
_ORIGIN = attrgetter(*_ORIGIN_NAMES)
_OWN = attrgetter(*(f.name for f in fields(Origin)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance(ReceivedInstance):
    """A DICOM file of the archive."""

    ref: Ref
    parent: Ref  # its series
    received_us: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Totals of the whole archive."""

    patients: int
    studies: int
    series: int
    instances: int
    size_bytes: int  # of DICOM files
    attached_bytes: int = 0  # of other attachments
    attached_disk_bytes: int = 0
    saved_bytes: int = 0  # of DICOM files, by compression

    @property
    def disk_bytes(self) -> int:
        """Of DICOM files as they lie there."""
        return self.size_bytes - self.saved_bytes


class Change(NamedTuple):
    """One row of `/changes`."""

    seq: Seq
    change_type: str  # "NewInstance", "StableStudy" …
    level: Level
    resource: ResourceId
    at_us: int


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """A page of `/changes`; `first` and `last` are the sequences at its ends."""

    changes: list[Change]
    done: bool
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Export:
    """One row of `/exports`."""

    seq: Seq
    level: Level
    at_us: int
    modality: str
    resource: ResourceId
    patient_id: str
    study_instance_uid: str  # "" where the resource lies above; likewise the next two
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class ExportsPage:
    """A page of `/exports`."""

    exports: list[Export]
    done: bool
