"""Tags of whole subtrees: `module`, `module-patient`, `shared-tags`, `instances-tags`. These read the DICOM files."""

from collections.abc import Iterator
from typing import Any

import falcon

from api.rest import arguments, dicom_files, orthanc_json, orthanc_xml, runtime
from api.rest.arguments import TagForm
from api.rest.client_gone import while_client_waits
from api.rest.deps import Deps
from api.rest.finding import find_below
from api.rest.instance_content import parse_ignore_length
from api.rest.modules import MODULES
from api.rest.replies import JSON, XML, send_json, wants_xml
from api.rest.tag_names import tag_key, tag_name
from events.errors import NotFound
from events.identifiers import Level, format_resource_id
from store.dicom.limits import large_datasets
from store.records import Instance, Resource
from store.views.snapshot import Snapshot

Tags = dict[str, Any]
WHOLE_INSTANCES = 100  # up to here the tags of all instances are rendered before the answer begins (1 MB)


def list_instances(s: Snapshot, record: Resource | Instance) -> list[Instance]:
    """Return the instances of a resource, by identifier."""
    if isinstance(record, Instance):
        return [record]
    found = [below for below in s.descendants(record, Level.INSTANCE) if isinstance(below, Instance)]
    return sorted(found, key=lambda instance: instance.id)


def first_instance(s: Snapshot, record: Resource | Instance) -> Instance:
    """Return the instance whose file stands for a resource: in Orthanc the one with the first identifier."""
    if isinstance(record, Instance):
        return record
    ref = min(s.descendant_refs(record, Level.INSTANCE), key=lambda ref: s.id_of(Level.INSTANCE, ref))
    instance = s.get_ref(Level.INSTANCE, ref)
    assert isinstance(instance, Instance)
    return instance


class Module:
    """`/patients/{id}/module` and its like; `/studies/{id}/module-patient` shows the patient's as the study has it."""

    def __init__(self, deps: Deps, level: Level, module: Level) -> None:
        self._deps = deps
        self._level = level
        self._tags = MODULES[module]

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        form = arguments.tag_form(req, "full")
        ignore_length = parse_ignore_length(req)
        with self._deps.views.snapshot() as s:
            instance = first_instance(s, find_below(s, self._level, identifier))
        with large_datasets.scope():
            shown = dicom_files.read_tags(self._deps, instance, form, ignore_length=ignore_length)
            send_json(req, resp, pick(shown, self._tags, form))


def pick(tags: Tags, wanted: frozenset[int], form: TagForm) -> Tags:
    """Return the wanted ones of rendered tags."""
    names = {tag_name(tag) if form == "simplify" else tag_key(tag) for tag in wanted}
    return {name: value for name, value in tags.items() if name in names}


class SharedTags:
    """`/studies/{id}/shared-tags`: what all instances say alike. Sequences and long values take no part."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        form = arguments.tag_form(req, "full")
        with self._deps.views.snapshot() as s:
            instances = list_instances(s, find_below(s, self._level, identifier))
        encoding = runtime.default_encoding(self._deps)
        shared: Tags | None = None
        for instance in while_client_waits(req, instances):
            tags = dicom_files.read_tags(self._deps, instance, "full", encoding=encoding)
            texts = {key: tag for key, tag in tags.items() if tag["Type"] == "String"}
            shared = texts if shared is None else {key: tag for key, tag in shared.items() if texts.get(key) == tag}
        send_json(req, resp, convert(shared or {}, form))


def convert(tags: Tags, form: TagForm) -> Tags:
    """Return tags of the full form, none of them sequences, in another form."""
    if form == "full":
        return tags
    if form == "short":
        return {key: tag["Value"] for key, tag in tags.items()}
    return {tag["Name"]: tag["Value"] for tag in tags.values()}


class InstancesTags:
    """`/studies/{id}/instances-tags`: the tags of every instance, streamed file by file."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        form = arguments.tag_form(req, "full")
        ignore_length = parse_ignore_length(req)
        with self._deps.views.snapshot() as s:
            instances = list_instances(s, find_below(s, self._level, identifier))
        members = self._members(instances, form, ignore_length)
        if len(instances) <= WHOLE_INSTANCES:
            send_json(req, resp, dict(while_client_waits(req, members)))
        elif wants_xml(req):
            resp.content_type = XML
            resp.stream = orthanc_xml.encode_object(members)
        else:
            resp.content_type = JSON
            resp.stream = orthanc_json.encode_object(members)

    def _members(
        self, instances: list[Instance], form: TagForm, ignore_length: list[int]
    ) -> Iterator[tuple[str, Tags]]:
        encoding = runtime.default_encoding(self._deps)
        for instance in instances:
            try:
                tags = dicom_files.read_tags(self._deps, instance, form, ignore_length=ignore_length, encoding=encoding)
            except NotFound:  # deleted since the list was made
                continue
            yield format_resource_id(instance.id), tags
