"""Patients, studies, series and instances as the JSON objects of Orthanc's REST API.

Source: observed on Orthanc 1.12.7; `IsProtected` of patients from the OpenAPI document of 1.12.11.
"""

from typing import Any

from api.errors import OutOfRange
from api.rest.arguments import TagForm
from events.identifiers import Level, ResourceId, format_blob_id, format_resource_id
from events.stored_file import StoredFile
from store.completeness import series_status
from store.dicom.dictionary import format_tag, tag_name
from store.dicom.indexed_tags import is_sequence, sequence_json
from store.dicom.rendering import reform_sequence
from store.records import Instance, Resource, Tags
from store.times import format_us
from store.views.attachments import list_attachments
from store.views.labels import labels_of
from store.views.metadata import MetadataNaming, show_metadata, sources_of
from store.views.protection import is_protected
from store.views.snapshot import Snapshot, level_of

TYPE_OF_LEVEL = {Level.PATIENT: "Patient", Level.STUDY: "Study", Level.SERIES: "Series", Level.INSTANCE: "Instance"}
COLLECTION = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
_CHILDREN_FIELD = {Level.PATIENT: "Studies", Level.STUDY: "Series", Level.SERIES: "Instances"}
_PARENT_FIELD = {Level.STUDY: "ParentPatient", Level.SERIES: "ParentStudy", Level.INSTANCE: "ParentSeries"}

# Requested tags are shown whether they are named here or not, as in Orthanc.
CONTENTS = frozenset({
    "MainDicomTags", "Metadata", "Children", "Parent", "Labels", "Status", "IsStable", "IsProtected", "Attachments", "RequestedTags",
})  # fmt: skip

Contents = frozenset[str] | None  # what `response-content` asks for; None is the classic shape


def parse_contents(names: list[str]) -> frozenset[str]:
    """Return the parts `response-content` asks for. Raises OutOfRange."""
    for name in names:
        if name not in CONTENTS:
            raise OutOfRange(f'Unrecognized value for "ResponseContent": {name}')
    return frozenset(names)


def one_of(level: Level) -> str:
    """Return the route of one resource, which its identifier completes."""
    return f"/{COLLECTION[level]}/{{identifier}}"


def path_of(level: Level, resource: ResourceId) -> str:
    return f"/{COLLECTION[level]}/{format_resource_id(resource)}"


def render_link(level: Level, resource: ResourceId) -> dict[str, str]:
    """Return the short form in which `/tools/lookup` and `RemainingAncestor` name a resource."""
    return {"ID": format_resource_id(resource), "Path": path_of(level, resource), "Type": TYPE_OF_LEVEL[level]}


def render_tags(tags: Tags, form: TagForm) -> dict[str, Any]:
    """Return main DICOM tags in one of the three forms."""
    shown: dict[str, Any] = {}
    for tag, text in tags.items():
        items = is_sequence(tag, text)
        value: Any = reform_sequence(sequence_json(text), form) if items else text
        if form == "simplify":
            shown[tag_name(tag)] = value
        elif form == "short":
            shown[format_tag(tag)] = value
        else:
            kind = "Sequence" if items else "String"
            shown[format_tag(tag)] = {"Name": tag_name(tag), "Type": kind, "Value": value}
    return shown


def render(
    s: Snapshot, record: Resource | Instance, form: TagForm, naming: MetadataNaming, contents: Contents = None
) -> dict[str, Any]:
    """Return a resource as `GET /studies/{id}` and its like show it."""
    if contents is None:
        return _classic_instance(s, record, form) if isinstance(record, Instance) else _classic(s, record, form)
    return _chosen(s, record, form, naming, contents)


def _classic_instance(s: Snapshot, record: Instance, form: TagForm) -> dict[str, Any]:
    return sources_of(s, record.ref) | {
        "FileSize": record.size_bytes,
        "FileUuid": format_blob_id(record.blob),
        "ID": format_resource_id(record.id),
        "IndexInSeries": record.index_in_series,
        "Labels": labels_of(s, record.ref),
        "MainDicomTags": render_tags(record.tags, form),
        "ParentSeries": format_resource_id(s.id_of(Level.SERIES, record.parent)),
        "Type": "Instance",
    }


def _classic(s: Snapshot, record: Resource, form: TagForm) -> dict[str, Any]:
    shown: dict[str, Any] = sources_of(s, record.ref) | {
        "ID": format_resource_id(record.id),
        "IsStable": record.is_stable,
        "Labels": labels_of(s, record.ref),
        "LastUpdate": format_us(record.last_update_us),
        "MainDicomTags": render_tags(record.tags, form),
        "Type": TYPE_OF_LEVEL[record.level],
        _CHILDREN_FIELD[record.level]: child_ids(s, record),
    }
    if record.level == Level.PATIENT:
        shown["IsProtected"] = is_protected(s, record.ref)
        return shown
    shown[_PARENT_FIELD[record.level]] = _parent_id(s, record)
    if record.level == Level.STUDY:
        shown["PatientMainDicomTags"] = render_tags(record.patient_tags, form)
    else:
        shown["ExpectedNumberOfInstances"] = record.expected_instances
        shown["Status"] = _status(s, record)
    return shown


def _chosen(
    s: Snapshot, record: Resource | Instance, form: TagForm, naming: MetadataNaming, contents: frozenset[str]
) -> dict[str, Any]:
    level = level_of(record)
    shown: dict[str, Any] = {"ID": format_resource_id(record.id), "Type": TYPE_OF_LEVEL[level]}
    if "MainDicomTags" in contents:
        # Orthanc keeps main tags that are sequences among the metadata, and shows them only if it reads those.
        tags = record.tags
        if "Metadata" not in contents:
            tags = {tag: text for tag, text in tags.items() if not is_sequence(tag, text)}
        shown["MainDicomTags"] = render_tags(tags, form)
        if isinstance(record, Resource) and level == Level.STUDY:
            shown["PatientMainDicomTags"] = render_tags(record.patient_tags, form)
    if "Metadata" in contents:
        shown["Metadata"] = show_metadata(s, record, naming)
    if "Labels" in contents:
        shown["Labels"] = labels_of(s, record.ref)
    if "Parent" in contents and level != Level.PATIENT:
        shown[_PARENT_FIELD[level]] = _parent_id(s, record)
    if "Attachments" in contents:
        shown["Attachments"] = [render_attachment(*found) for found in list_attachments(s, record).items()]
    if isinstance(record, Resource):
        if "Children" in contents:
            shown[_CHILDREN_FIELD[level]] = child_ids(s, record)
        if "IsStable" in contents:
            shown["IsStable"] = record.is_stable
        if "IsProtected" in contents and level == Level.PATIENT:
            shown["IsProtected"] = is_protected(s, record.ref)
        if "Status" in contents and level == Level.SERIES:
            shown["Status"] = _status(s, record)
    return shown


def child_ids(s: Snapshot, record: Resource) -> list[str]:
    """Return the identifiers right below a resource, in Orthanc's order: by identifier."""
    return sorted(format_resource_id(child) for child in s.child_ids(record))


def _parent_id(s: Snapshot, record: Resource | Instance) -> str:
    assert record.parent is not None
    return format_resource_id(s.id_of(Level(level_of(record) - 1), record.parent))


def _status(s: Snapshot, series: Resource) -> str:
    if series.expected_instances is None:
        return "Unknown"
    indexes = (child.index_in_series for child in s.children(series) if isinstance(child, Instance))
    return series_status(series.expected_instances, indexes)


def render_attachment(number: int, file: StoredFile) -> dict[str, Any]:
    """Return what is known of the file of an attachment."""
    return {
        "CompressedMD5": file.disk_md5.hex(),
        "CompressedSize": file.disk_bytes,
        "ContentType": number,
        "UncompressedMD5": file.md5.hex(),
        "UncompressedSize": file.size_bytes,
        "Uuid": format_blob_id(file.blob),
    }
