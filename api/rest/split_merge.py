"""`/studies/{id}/split` and `/studies/{id}/merge`: jobs. Source: observed on Orthanc 1.12.7."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import falcon

from actors.messages.job_types import MERGE_STUDY, SPLIT_STUDY
from api.errors import BadField, OutOfRange, UnknownRoute
from api.rest import dicom_files, fields, runtime
from api.rest.bulk_tags import MODULES
from api.rest.deps import Deps, Routes
from api.rest.modification_jobs import new_plan, read_resources, submit_plan
from api.rest.render_resources import TYPE_OF_LEVEL, one_of
from api.rest.resources import find_below
from api.rest.sent_resources import instances_of
from events.errors import InvalidRequest
from events.identifiers import Level, ResourceId, format_resource_id, parse_resource_id
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.modification import Modification, NewValue
from store.dicom.change.request import read_value
from store.dicom.change.tag_path import TagPath, parse_name
from store.dicom.dictionary import dictionary_vr, format_tag, tag_name
from store.dicom.identifier import pick
from store.dicom.tags import PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from store.records import Instance, Resource
from store.views.snapshot import Snapshot

_STUDY_TAGS: Final = (MODULES[Level.PATIENT] | MODULES[Level.STUDY]) - {STUDY_INSTANCE_UID}
_NEW: Final = frozenset((SERIES_INSTANCE_UID, SOP_INSTANCE_UID))


class _OfStudy:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def _instances(self, found: Iterable[Resource | Instance]) -> list[ResourceId]:
        listed = [
            instance
            for record in found
            for instance in (
                [record.id] if isinstance(record, Instance) else instances_of(self._deps, record.level, record.ref)
            )
        ]
        return list(dict.fromkeys(listed))


class Split(_OfStudy):
    """Some series or instances leave a study for a new one."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        deps = self._deps
        with deps.views.snapshot() as s:
            study = find_below(s, Level.STUDY, identifier)
        assert isinstance(study, Resource)
        body = fields.read_object(req)
        names = {level: _optional(body, name) for level, name in _SOURCES.items()}
        if not any(names.values()):
            raise InvalidRequest('Both the "Series" and the "Instances" fields are missing')
        with deps.views.snapshot() as s:
            found = [_below(s, study, level, name) for level, listed in names.items() for name in listed]
        target = Drawn(new_secret()).uid(study.tags.get(STUDY_INSTANCE_UID, "").encode() or b"study").decode()
        change = Modification(
            replace={**_replacements(body), TagPath((), STUDY_INSTANCE_UID): target},
            remove=frozenset(TagPath((), _study_tag(name)) for name in _names(body, "Remove")),
            new_uids=_NEW,
        )
        parents = [record.id for record in found]
        plan = new_plan(req, _without_source(body), change, self._instances(found), parents, "", None)
        plan = replace(plan, target={"TargetStudyUID": target})
        submit_plan(deps, req, resp, plan, body, SPLIT_STUDY.name)


class Merge(_OfStudy):
    """Studies, series and instances come to a study, whose own tags, and whose patient's, they get."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        deps = self._deps
        with deps.views.snapshot() as s:
            study = find_below(s, Level.STUDY, identifier)
            assert isinstance(study, Resource)
            example = next(s.descendants(study, Level.INSTANCE))
        body = fields.read_json(req)
        names = read_resources(body if isinstance(body, dict) else {})
        with deps.views.snapshot() as s:
            found = [_mergeable(s, study, name) for name in names]
        assert isinstance(example, Instance)
        parents = [record.id for record in found]
        plan = new_plan(req, _without_source(body), self._change(example), self._instances(found), parents, "", None)
        plan = replace(plan, target={"TargetStudy": format_resource_id(study.id)})
        submit_plan(deps, req, resp, plan, body, MERGE_STUDY.name)

    def _change(self, example: Instance) -> Modification:
        """Return what makes an instance one of the study that this is one of."""
        deps = self._deps
        wanted = [tag for tag in _STUDY_TAGS if dictionary_vr(tag) != "SQ"]
        with dicom_files.opened(deps, example) as data:
            values = pick(data, (*wanted, STUDY_INSTANCE_UID), runtime.default_encoding(deps))
        texts = {TagPath((), tag): value for tag, value in values.items() if isinstance(value, str)}
        return Modification(
            replace={TagPath((), PATIENT_ID): "", **texts},
            remove=frozenset(TagPath((), tag) for tag in _STUDY_TAGS) - texts.keys(),
            new_uids=_NEW,
        )


_SOURCES: Final = {Level.SERIES: "Series", Level.INSTANCE: "Instances"}


def _without_source(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body in which sources are not kept unless it says so. Raises BadField."""
    return {**body, "KeepSource": fields.flag(body, "KeepSource", default=False)}


def _optional(body: Mapping[str, Any], name: str) -> list[str]:
    return read_resources(body, name) if name in body else []


def _below(s: Snapshot, study: Resource, level: Level, name: str) -> Resource | Instance:
    """Return what a split names. Raises UnknownRoute for what is not of the study."""
    identifier = parse_resource_id(name)
    record = None if identifier is None else s.get(level, identifier)
    if record is None or s.ancestor(record, Level.STUDY).ref != study.ref:
        kind = TYPE_OF_LEVEL[level].lower()
        raise UnknownRoute(f"This {kind} does not belong to the study to be split: {name}")
    return record


def _mergeable(s: Snapshot, study: Resource, name: str) -> Resource | Instance:
    """Return what a merge names. Raises UnknownRoute for what cannot come to the study."""
    identifier = parse_resource_id(name)
    place = None if identifier is None else s.find(identifier)
    if place is None:
        raise UnknownRoute(f"Cannot find this resource: {name}")
    record = s.get_ref(*place)
    if place[0] == Level.PATIENT:
        raise UnknownRoute(f"This resource is neither a study, nor a series, nor an instance: {name} is a Patient")
    own = record if place[0] == Level.STUDY else s.ancestor(record, Level.STUDY)
    if own.ref == study.ref:
        kind = TYPE_OF_LEVEL[place[0]].lower()
        raise UnknownRoute(
            f"Cannot merge a study into the same study: {name}"
            if place[0] == Level.STUDY
            else f"Cannot merge {kind} {name} into its parent study {format_resource_id(study.id)}"
        )
    return record


def _replacements(body: Mapping[str, Any]) -> dict[TagPath, NewValue]:
    values = body.get("Replace", {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise BadField
    return {TagPath((), tag): read_value(tag, value) for tag, value in ((_study_tag(n), v) for n, v in values.items())}


def _names(body: Mapping[str, Any], name: str) -> Sequence[str]:
    names = body.get(name, [])
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise BadField
    return names


def _study_tag(name: str) -> int:
    tag = parse_name(name)
    if tag not in _STUDY_TAGS:
        raise OutOfRange(
            "Cannot modify the following tag while splitting a study (not in the patient/study modules): "
            f"{tag_name(tag)} ({format_tag(tag)})"
        )
    return tag


def routes(deps: Deps) -> Routes:
    one = one_of(Level.STUDY)
    return {f"{one}/split": Split(deps), f"{one}/merge": Merge(deps)}
