"""`/modify` and `/anonymize` of patients, studies and series, `/tools/bulk-modify` and `/tools/bulk-anonymize`: jobs.

Source: observed on Orthanc 1.12.7.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import falcon

from actors.messages.commands.instances import NEVER
from actors.messages.job_types import RESOURCE_MODIFICATION
from actors.services.jobs.operations.modification_plan import ModificationPlan, to_plan
from api.errors import BadField, OutOfRange
from api.rest import fields
from api.rest.deps import Deps, Routes
from api.rest.job_submission import JobRequest, is_permissive, submit
from api.rest.modification import flag, lossy_quality, read_anonymization, read_body, read_flags, transfer_syntax
from api.rest.render_resources import TYPE_OF_LEVEL, one_of
from api.rest.resources import find_below
from api.rest.sent_resources import find_root, instances_of
from api.rest.serving.auth import username_of
from events.errors import InvalidRequest
from events.identifiers import Level, ResourceId, format_resource_id, hash_resource_id
from store.dicom.change.drawn import new_secret
from store.dicom.change.modification import OWN_UIDS, Modification
from store.dicom.change.request import read_modify
from store.dicom.change.tag_path import TagPath
from store.dicom.dictionary import format_tag
from store.dicom.indexed_tags import MAIN_DICOM_TAGS
from store.dicom.tags import PATIENT_ID
from store.records import Resource
from store.views.snapshot import Snapshot

INSTANCES_PER_STEP: Final = 16  # a checkpoint costs a commit
_IN_PLACE: Final = "When keeping StudyInstanceUID, SeriesInstanceUID and SOPInstanceUID tag, you must "
LEVELS: Final = {name: level for level, name in TYPE_OF_LEVEL.items()}


class Modify:
    """`POST /{level}/{id}/modify`."""

    derivation = "ModifiedFrom"

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        deps, level = self._deps, self._level
        with deps.views.snapshot() as s:
            root = find_below(s, level, identifier)
        assert isinstance(root, Resource)
        body = read_body(req)
        change = self._read(body, req)
        with deps.views.snapshot() as s:
            keeps_source = flag(body, "KeepSource", default=True)
            _check_model(s, root, change, keeps_source=keeps_source, overwrite=deps.settings.overwrite_instances)
        plan = new_plan(req, body, change, instances_of(deps, level, root.ref), [root.id], self.derivation, level)
        submit_plan(deps, req, resp, plan, body)

    def _read(self, body: Mapping[str, Any], _req: falcon.Request) -> Modification:
        return read_modify(body, self._level, read_flags(body, self._deps))


class Anonymize(Modify):
    derivation = "AnonymizedFrom"

    def _read(self, body: Mapping[str, Any], req: falcon.Request) -> Modification:
        return read_anonymization(self._deps, req, body)


class BulkModify:
    """Resources of any level; what is told of them is all that came of them."""

    derivation = "ModifiedFrom"

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        deps = self._deps
        body = read_body(req)
        names = read_resources(body)
        change = self._read(body, req)
        roots = [find_root(deps, name) for name in names]
        instances = [instance for root in roots for instance in instances_of(deps, root.level, root.ref)]
        parents = [root.id for root in roots]
        plan = new_plan(req, body, change, list(dict.fromkeys(instances)), parents, self.derivation, None)
        submit_plan(deps, req, resp, plan, body)

    def _read(self, body: Mapping[str, Any], _req: falcon.Request) -> Modification:
        level = parse_level(fields.text(body, "Level", default="Instance"))
        return read_modify(body, level, read_flags(body, self._deps))


class BulkAnonymize(BulkModify):
    derivation = "AnonymizedFrom"

    def _read(self, body: Mapping[str, Any], req: falcon.Request) -> Modification:
        return read_anonymization(self._deps, req, body)


def parse_level(name: str) -> Level:
    """Read a level's name. Raises OutOfRange."""
    if name not in LEVELS:
        raise OutOfRange(f"Invalid resource type '{name}'")
    return LEVELS[name]


def read_resources(body: Mapping[str, Any], name: str = "Resources") -> list[str]:
    """Return the identifiers that a body lists. Raises BadField."""
    names = body.get(name)
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise BadField(f"List of strings expected in field: {name}")
    return names


def new_plan(
    req: falcon.Request,
    body: Mapping[str, Any],
    change: Modification,
    instances: Sequence[ResourceId],
    parents: Sequence[ResourceId],
    derivation: str,
    level: Level | None,
) -> ModificationPlan:
    """Return the plan of a request; its identifiers are drawn now, and for good."""
    return ModificationPlan(
        instances=instances,
        change=change,
        secret=new_secret(),
        level=level,
        derivation=derivation,
        transfer_syntax=transfer_syntax(body, of_job=True),
        lossy_quality=lossy_quality(body),
        keeps_source=flag(body, "KeepSource", default=True),
        keeps_labels=flag(body, "KeepLabels"),
        permissive=is_permissive(body),
        per_step=1 if is_permissive(body) else INSTANCES_PER_STEP,
        remote_ip=req.remote_addr or "",
        username=username_of(req),
        parents=sorted({format_resource_id(parent) for parent in parents}),
    )


def submit_plan(
    deps: Deps,
    req: falcon.Request,
    resp: falcon.Response,
    plan: ModificationPlan,
    body: Mapping[str, Any],
    job_type: str = RESOURCE_MODIFICATION.name,
) -> None:
    submit(deps, req, resp, JobRequest(type=job_type, plan=to_plan(plan), steps=plan.steps), body)


def _check_model(s: Snapshot, root: Resource, change: Modification, *, keeps_source: bool, overwrite: str) -> None:
    """Refuse what would leave the archive with two descriptions of one patient, or with nothing. Raises InvalidRequest."""
    if all(change.keeps(tag) for tag in OWN_UIDS) and not change.replaces(PATIENT_ID):
        if not keeps_source:
            raise InvalidRequest(
                f"{_IN_PLACE}set KeepSource to true to avoid deleting the modified files at the end of the process"
            )
        if overwrite == NEVER:
            raise InvalidRequest(
                f"{_IN_PLACE}have the 'OverwriteInstances' Orthanc configuration set to true in order to replace the modified "
                "resources"
            )
    if root.level == Level.STUDY and not change.is_anonymization:
        _check_patient(s, root, change)


def _check_patient(s: Snapshot, study: Resource, change: Modification) -> None:
    """Refuse other patient tags than those of the patient whom the study comes to, if that one has other studies."""
    tags = MAIN_DICOM_TAGS[Level.PATIENT]
    if not any(change.replaces(tag) for tag in tags):
        return
    own = s.parent(study)
    patient_id = change.replace.get(TagPath((), PATIENT_ID), own.tags.get(PATIENT_ID, ""))
    target = s.get(Level.PATIENT, hash_resource_id(patient_id)) if isinstance(patient_id, str) else None
    if not isinstance(target, Resource):
        return
    if target.ref == own.ref and sum(1 for _ in s.child_refs(own.ref)) == 1:
        return
    for tag in sorted(tags):
        if tag in target.tags and change.replace.get(TagPath((), tag)) != target.tags[tag]:
            raise InvalidRequest(
                "Trying to change patient tags in a study.  The Patient already exists and has other studies.  All the "
                "'Replace' tags should match the existing patient main dicom tags and you should specify all Patient "
                "MainDicomTags in your query.  Try using /patients/../modify instead to modify the patient. Failing tag: "
                f"{format_tag(tag)}"
            )


def routes(deps: Deps) -> Routes:
    found: Routes = {"/tools/bulk-modify": BulkModify(deps), "/tools/bulk-anonymize": BulkAnonymize(deps)}
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        found[f"{one_of(level)}/modify"] = Modify(deps, level)
        found[f"{one_of(level)}/anonymize"] = Anonymize(deps, level)
    return found
