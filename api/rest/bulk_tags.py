"""Tags of whole subtrees: `module`, `module-patient`, `shared-tags`, `instances-tags`. These read the DICOM files.

Which tags make up a module was found by asking Orthanc 1.12.7 for the modules of an instance that holds every tag of the dictionary
(PS3.3 §C.7.1.1, C.7.1.3, C.7.2.1, C.7.3.1, C.12.1, in the edition Orthanc knows).
"""

from collections.abc import Iterator
from typing import Any, Final

import falcon

from api.rest import arguments, dicom_files, runtime
from api.rest.arguments import TagForm
from api.rest.deps import Deps, Routes
from api.rest.instance_content import parse_ignore_length
from api.rest.render_resources import one_of
from api.rest.resources import find_below
from api.rest.serving.client_gone import while_client_waits
from api.rest.serving.replies import send_json, stream_object
from events.errors import NotFound
from events.identifiers import Level, format_resource_id
from store.blobs.writer import is_kept
from store.dicom.dictionary import format_tag, tag_name
from store.dicom.limits import large_datasets
from store.records import Instance, Resource
from store.views.snapshot import Snapshot


def _tags(text: str) -> frozenset[int]:
    return frozenset(int(tag.replace(",", ""), 16) for tag in text.split())


MODULES: Final[dict[Level, frozenset[int]]] = {
    Level.PATIENT: _tags(
        "0008,1120 0010,0010 0010,0020 0010,0021 0010,0024 0010,0030 0010,0032 0010,0040 0010,1000 0010,1001 0010,1002"
        " 0010,2160 0010,2201 0010,2202 0010,2292 0010,2293 0010,2294 0010,2297 0010,2298 0010,2299 0010,4000 0012,0062"
        " 0012,0063 0012,0064"
    ),
    Level.STUDY: _tags(
        "0008,0020 0008,0030 0008,0050 0008,0051 0008,0090 0008,0096 0008,1030 0008,1032 0008,1048 0008,1049 0008,1060"
        " 0008,1062 0008,1110 0020,000d 0020,0010 0032,1034 0040,1012"
    ),
    Level.SERIES: _tags(
        "0008,0021 0008,0031 0008,0060 0008,103e 0008,103f 0008,1050 0008,1052 0008,1070 0008,1072 0008,1111 0008,1250"
        " 0010,2210 0018,0015 0018,1030 0018,5100 0020,000e 0020,0011 0020,0060 0028,0108 0040,0244 0040,0245 0040,0253"
        " 0040,0254 0040,0260 0040,0275 0040,0280"
    ),
    Level.INSTANCE: _tags(
        "0008,0005 0008,0012 0008,0013 0008,0014 0008,0016 0008,0018 0008,001a 0008,001b 0008,0110 0008,0201 0018,a001"
        " 0020,0013 0028,0303 0040,a390 0100,0410 0100,0420 0100,0424 0100,0426 0400,0500 0400,0561 4ffe,0001"
    ),
}


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
    names = {tag_name(tag) if form == "simplify" else format_tag(tag) for tag in wanted}
    return {name: value for name, value in tags.items() if name in names}


class SharedTags:
    """`/studies/{id}/shared-tags`: the tags with the same value in all instances. Sequences and long values take no part."""

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
            if not is_kept(instance.blob):
                shared = None
                break
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
        else:
            stream_object(req, resp, members)

    def _members(
        self, instances: list[Instance], form: TagForm, ignore_length: list[int]
    ) -> Iterator[tuple[str, Tags]]:
        encoding = runtime.default_encoding(self._deps)
        for instance in instances:
            try:
                tags = dicom_files.read_tags(self._deps, instance, form, ignore_length=ignore_length, encoding=encoding)
            except NotFound:
                if is_kept(instance.blob):  # deleted since the list was made
                    continue
                raise
            yield format_resource_id(instance.id), tags


def routes(deps: Deps) -> Routes:
    found: Routes = {f"{one_of(level)}/module": Module(deps, level, level) for level in Level}
    found[f"{one_of(Level.STUDY)}/module-patient"] = Module(deps, Level.STUDY, Level.PATIENT)
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        found[f"{one_of(level)}/shared-tags"] = SharedTags(deps, level)
        found[f"{one_of(level)}/instances-tags"] = InstancesTags(deps, level)
    return found
