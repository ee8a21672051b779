"""Events about the server itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from events.event import Event, personal
from events.identifiers import ResourceId


class ServerEvent(Event):
    """Family of the events that concern no resource."""

    __slots__ = ()


class ModalityEvent(ServerEvent):
    """Events of the server: which modalities there are."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesCleared(ServerEvent):
    """`DELETE /changes`: the change feed starts again, empty. The log keeps everything."""

    TAG: ClassVar[str] = "changes-cleared/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportsCleared(ServerEvent):
    """`DELETE /exports`: the list of exported resources starts again, empty."""

    TAG: ClassVar[str] = "exports-cleared/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceExported(ServerEvent):
    """A client let this server send a resource to a modality or peer (`LogExportedResources`)."""

    TAG: ClassVar[str] = "resource-exported/1"
    level: int
    modality: str  # its symbolic name
    id: ResourceId = personal()
    patient_id: str = personal()
    study_instance_uid: str = personal()  # "" where the resource lies above; likewise the next two
    series_instance_uid: str = personal()
    sop_instance_uid: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class MainTagsChosen(ServerEvent):
    """From here on these are the main DICOM tags of what is stored or reconstructed (`ExtraMainDicomTags`)."""

    TAG: ClassVar[str] = "main-tags-chosen/1"
    tags: Mapping[int, list[int]]  # level -> all its tags, in ascending order


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousNameDrawn(ServerEvent):
    """A request to anonymise has its number: the patient's new name is `Anonymized<number>`, which no other request gives."""

    TAG: ClassVar[str] = "anonymous-name-drawn/1"
    number: int  # from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModality:
    """What an event says of a modality."""

    name: str
    port: int
    manufacturer: str
    allowed: list[str]  # the words after `Allow`, in order
    allow_transcoding: bool
    use_tls: bool
    timeout_s: int  # 0: DicomScuTimeout
    retrieve_method: str
    aet: str = personal()
    host: str = personal()
    local_aet: str = personal()  # "": DicomAet


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityStored(ModalityEvent, RemoteModality):
    """`PUT /modalities/{name}` with `DicomModalitiesInDatabase`: a modality is new or changed."""

    TAG: ClassVar[str] = "modality-stored/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityRemoved(ModalityEvent):
    """`DELETE /modalities/{name}` with `DicomModalitiesInDatabase`."""

    TAG: ClassVar[str] = "modality-removed/1"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityChanged(ModalityEvent, RemoteModality):
    """`PUT /modalities/{name}` without that option: it holds until the next start, which knows those of the configuration."""

    TAG: ClassVar[str] = "modality-changed/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityDropped(ModalityEvent):
    """`DELETE /modalities/{name}` without that option: until the next start there is no such modality."""

    TAG: ClassVar[str] = "modality-dropped/1"
    name: str
