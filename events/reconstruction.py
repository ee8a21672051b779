"""Events about what files told once more: the main DICOM tags of resources that are there, and other facts about their instances.

Each belongs to the aggregate of its resource's patient, and is there only for a resource of which something has changed: which tags are
kept, or what they say. When the resource came, from where, its metadata and its labels stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from events.event import personal
from events.identifiers import Level, Ref, ResourceId
from events.resources import ResourceEvent


class ReconstructionEvent(ResourceEvent):
    """Family of the events of `/…/reconstruct`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReconstructed(ReconstructionEvent):
    """The file of an instance told its tags and other facts anew."""

    TAG: ClassVar[str] = "instance-reconstructed/1"
    instance: Ref
    transfer_syntax: str
    sop_class: str
    pixel_data_offset: int | None
    pixel_data_vr: str
    index_in_series: int | None
    id: ResourceId = personal()
    tags: Mapping[int, str] = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class TagsReconstructed(ReconstructionEvent):
    """The file of an instance told the tags of the series, study or patient that it belongs to anew."""

    TAG: ClassVar[str] = "tags-reconstructed/1"
    level: Level
    resource: Ref
    instance: Ref
    id: ResourceId = personal()  # of `resource`
    tags: Mapping[int, str] = personal()
    patient_tags: Mapping[int, str] = personal()  # of a study: the patient as it describes it; else empty
