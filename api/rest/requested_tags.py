"""`requested-tags`: DICOM tags a client wants beside the main ones, from the index, computed, or from a file.

Source: observed on Orthanc 1.12.7. A main tag of the level or above, or the SOP class of an instance, comes from the index, and is
left out where it is absent there; a counter is computed at its own level and left out at others, unless a file is read, which may have it;
anything else is read from a file, and is null where the file lacks it. `StorageAccessOnFind` may forbid to read files: then it is left out. Tags of the file meta information
are never read from a file. What is worth a warning is logged when 1.12.7 logs it.
"""

import json
import logging
from typing import Any

import falcon

from api.errors import OutOfRange, UnknownTag
from api.rest import arguments, dicom_files
from api.rest.arguments import TagForm, parse_tag
from api.rest.deps import Deps
from api.rest.render_resources import path_of, render_tags
from events.errors import InvalidRequest
from events.numbered_warnings import OF_FILE_META, OTHER_MAIN_TAGS, warn
from store.dicom.dictionary import format_tag, tag_name
from store.dicom.rendering import reform_sequence
from store.dicom.tags import (
    INSTANCE_AVAILABILITY,
    MODALITIES_IN_STUDY,
    RETRIEVE_AE_TITLE,
    RETRIEVE_URL,
    SOP_CLASS_UID,
    SOP_CLASSES_IN_STUDY,
)
from store.records import Instance, Resource
from store.views.resource_tags import COMPUTED, compute, kept_above, kept_tags, main_tags, oldest_instance
from store.views.snapshot import Snapshot, level_of
from store.views.tag_warnings import TagWarnings, show_tags

log = logging.getLogger(__name__)

_FILE_META_GROUP = 0x0002
_NEVER_IN_FILES = COMPUTED | {RETRIEVE_AE_TITLE, RETRIEVE_URL}
_IN_READ_FILES = _NEVER_IN_FILES - {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, INSTANCE_AVAILABILITY}


class RequestedTags:
    """The tags one request asks for. False if it asks for none."""

    def __init__(self, tags: list[int]) -> None:
        self._tags = tags
        self._is_told = False  # what the log says once, however many resources there are

    def __bool__(self) -> bool:
        return bool(self._tags)

    def render(self, s: Snapshot, deps: Deps, record: Resource | Instance, form: TagForm) -> dict[str, Any]:
        """Return `RequestedTags` of a resource."""
        warnings = TagWarnings(deps.settings.warnings, level_of(record))
        known = main_tags(s, record)
        indexed = kept_above(s, record)
        self._tell_of_tags(s, warnings, indexed)
        if isinstance(record, Instance) and record.sop_class:
            known[SOP_CLASS_UID] = record.sop_class
            indexed |= {SOP_CLASS_UID}
        from_file = [tag for tag in self._tags if tag not in indexed and not _is_computed(tag)]
        not_computed: list[int] = []  # a file may have them, where one is read anyhow
        shown: dict[str, Any] = {}
        for tag in self._tags:
            value = known.get(tag) if tag in indexed else _compute(s, record, tag)
            if value is not None:
                shown |= render_tags({tag: value}, form)
            elif tag in _IN_READ_FILES - indexed:
                not_computed.append(tag)
        if from_file:
            warnings.tell_of_reading(record.id, sorted({*from_file}), reads_files=deps.settings.reads_files)
        if from_file and deps.settings.reads_files:
            from_file += not_computed
            oldest = oldest_instance(s, record)
            assert oldest is not None
            tags = dicom_files.read_tags(deps, oldest, "full")
            for tag in from_file:
                shown[_key(tag, form)] = _reform(tag, tags.get(format_tag(tag), {"Type": "Null", "Value": None}), form)
        self._tell_of_main_tags(s, record, warnings)
        return shown

    def _tell_of_tags(self, s: Snapshot, warnings: TagWarnings, indexed: frozenset[int]) -> None:
        if not self._is_told:
            self._is_told = True
            warnings.tell_of_lower_levels({*self._tags}, s.main_tags[0].tags)
        of_meta = {tag for tag in self._tags if tag >> 16 == _FILE_META_GROUP} - indexed
        if of_meta:
            text = "requested tags of the file meta information are left out: %s"
            warn(log, warnings.on, OF_FILE_META, text, show_tags(sorted(of_meta)))

    def _tell_of_main_tags(self, s: Snapshot, record: Resource | Instance, warnings: TagWarnings) -> None:
        level = warnings.level
        if kept_tags(s, record) != s.main_tags[0].tags[level]:
            text = "the index keeps other main tags of this %s than those of the present configuration: POST to %s/reconstruct"
            warn(log, warnings.on, OTHER_MAIN_TAGS, text, level.name.lower(), path_of(level, record.id))


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


def _is_computed(tag: int) -> bool:
    return tag in _NEVER_IN_FILES or tag >> 16 == _FILE_META_GROUP


def _reform(tag: int, full: dict[str, Any], form: TagForm) -> Any:
    """Return a tag of the full form in another; the private creator is not named here, unlike elsewhere."""
    if form == "full":
        return {"Name": tag_name(tag), "Type": full["Type"], "Value": full["Value"]}
    if full["Type"] == "Sequence":
        return reform_sequence(json.dumps(full["Value"]), form)
    return full["Value"]


def _compute(s: Snapshot, record: Resource | Instance, tag: int) -> str | None:
    if isinstance(record, Instance) and tag == SOP_CLASSES_IN_STUDY:
        raise OutOfRange
    return compute(s, record, tag)


def _key(tag: int, form: TagForm) -> str:
    return tag_name(tag) if form == "simplify" else format_tag(tag)
