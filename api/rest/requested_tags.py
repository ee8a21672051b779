"""`requested-tags`: DICOM tags a client wants beside the main ones, from the index, computed, or from a file.

Source: observed on Orthanc 1.12.7. A main tag of the level or above comes from the index, and is left out where it is
absent there; a counter is computed at its own level and left out at others (400 for an instance); anything else is
read from the first instance's file, and is null where the file lacks it.
"""

from typing import Any

import falcon

from api.errors import OutOfRange, UnknownTag
from api.rest import arguments, dicom_files
from api.rest.arguments import TagForm
from api.rest.bulk_tags import first_instance
from api.rest.deps import Deps
from api.rest.tag_names import parse_tag, tag_key, tag_name
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.main_tags import MAIN_DICOM_TAGS
from store.records import Instance, Resource, Tags
from store.views.snapshot import Snapshot, level_of

_MODALITY = 0x00080060
MODALITIES_IN_STUDY = 0x00080061
SOP_CLASSES_IN_STUDY = 0x00080062
_COUNTERS = {
    0x00201200: (Level.PATIENT, "study_count"),
    0x00201202: (Level.PATIENT, "series_count"),
    0x00201204: (Level.PATIENT, "instance_count"),
    0x00201206: (Level.STUDY, "series_count"),
    0x00201208: (Level.STUDY, "instance_count"),
    0x00201209: (Level.SERIES, "instance_count"),
}
_INSTANCE_AVAILABILITY = 0x00080056
_RETRIEVE_AE_TITLE = 0x00080054
_COMPUTED = frozenset(
    {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, _INSTANCE_AVAILABILITY, _RETRIEVE_AE_TITLE, *_COUNTERS}
)


class RequestedTags:
    """The tags one request asks for. False if it asks for none."""

    def __init__(self, tags: list[int]) -> None:
        self._tags = tags
        self._computed = [tag for tag in tags if tag in _COMPUTED]

    def __bool__(self) -> bool:
        return bool(self._tags)

    def render(self, s: Snapshot, deps: Deps, record: Resource | Instance, form: TagForm) -> dict[str, Any]:
        """Return `RequestedTags` of a resource."""
        level = level_of(record)
        if level == Level.INSTANCE and self._computed:
            raise OutOfRange
        known = _index_tags(s, record)
        indexed = {tag for above in Level if above <= level for tag in MAIN_DICOM_TAGS[above]}
        from_file = [tag for tag in self._tags if tag not in indexed and tag not in _COMPUTED]
        shown: dict[str, Any] = {}
        for tag in self._tags:
            value = known.get(tag) if tag in indexed else _compute(s, record, tag)
            if value is not None:
                shown[_key(tag, form)] = _entry(tag, value, form)
        if from_file:
            tags = dicom_files.read_tags(deps, first_instance(s, record), form, ignore_length=())
            for tag in from_file:
                shown[_key(tag, form)] = tags.get(_key(tag, form), _entry(tag, None, form))
        return shown


def parse_requested_tags(req: falcon.Request) -> RequestedTags:
    """Return the tags of `requested-tags` (or its old spelling). Raises InvalidRequest for a name that is none."""
    name = "requested-tags" if req.has_param("requested-tags") else "requestedTags"
    tags = []
    for text in arguments.parts(req, name):
        try:
            tags.append(parse_tag(text))
        except UnknownTag as exc:
            raise InvalidRequest(f"Invalid requested-tags argument: Unknown DICOM tag {text}") from exc
    return RequestedTags(tags)


def _index_tags(s: Snapshot, record: Resource | Instance) -> dict[int, str]:
    """Return the main tags of a resource and of what lies above it; the nearest level wins."""
    chain: list[Tags] = [record.tags]
    above: Resource | Instance = record
    while above.parent is not None:
        above = s.parent(above)
        chain.append(above.tags)
    return {tag: value for tags in reversed(chain) for tag, value in tags.items()}


def _compute(s: Snapshot, record: Resource | Instance, tag: int) -> str | None:
    if isinstance(record, Instance):
        return None
    if tag in _COUNTERS:
        level, counter = _COUNTERS[tag]
        return str(getattr(record, counter)) if record.level == level else None
    if record.level != Level.STUDY:
        return None
    if tag == MODALITIES_IN_STUDY:
        return "\\".join(sorted({series.tags[_MODALITY] for series in s.children(record) if _MODALITY in series.tags}))
    if tag == SOP_CLASSES_IN_STUDY:
        instances = s.descendants(record, Level.INSTANCE)
        return "\\".join(sorted({below.sop_class for below in instances if isinstance(below, Instance)}))
    return None


def _key(tag: int, form: TagForm) -> str:
    return tag_name(tag) if form == "simplify" else tag_key(tag)


def _entry(tag: int, value: str | None, form: TagForm) -> Any:
    if form != "full":
        return value
    return {"Name": tag_name(tag), "Type": "Null" if value is None else "String", "Value": value}
