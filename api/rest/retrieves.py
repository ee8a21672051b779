"""Requests that fetch instances from a modality: `/modalities/{name}/move` and `get`, `/queries/…/retrieve`. All make jobs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import falcon

from actors.services.jobs.operations.retrieve_plan import GET, JOB_TYPE, MOVE, Retrieval, RetrievePlan, to_plan
from actors.services.remote.modality import SYSTEM_DEFAULT
from actors.services.remote.query import UNIQUE_KEYS
from actors.services.remote.query_store import QueryReader
from api.errors import BadField, BadType
from api.rest import fields
from api.rest.arguments import TagForm, parse_tag
from api.rest.deps import Deps, Routes
from api.rest.job_submission import JobRequest, submit
from api.rest.modalities import ONE_MODALITY, find_modality, parse_retrieve_method
from api.rest.queries import ONE_ANSWER, ONE_QUERY, open_query, read_answer
from api.rest.remote_request import Remote, parse_level, remote_of, requested_timeout
from api.rest.render_answers import with_meta
from api.rest.serving.body import read_text
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom import tags
from store.dicom.dictionary import format_tag
from store.dicom.matching import Dataset

# What of an answer goes into the query of a retrieval.
_IDENTIFYING: Final = (
    tags.ACCESSION_NUMBER,
    tags.PATIENT_ID,
    tags.STUDY_INSTANCE_UID,
    tags.SERIES_INSTANCE_UID,
    tags.SOP_INSTANCE_UID,
)
_NEEDS_BODY: Final = "Must provide a JSON body containing fields Resources and Level"


class Retrieve:
    """`POST /modalities/{name}/move` and `/get`: of resources that the body names."""

    def __init__(self, deps: Deps, method: str) -> None:
        self._deps = deps
        self._method = method

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps = self._deps
        body = fields.read_json(req)
        if not isinstance(body, dict) or not isinstance(body.get("Resources"), list):
            raise BadField(_NEEDS_BODY)
        if not isinstance(body.get("Level"), str):
            raise BadField(_NEEDS_BODY)
        level = parse_level(body["Level"])
        remote = remote_of(deps, find_modality(deps, name), _title(body, "LocalAet"), requested_timeout(body))
        target_aet = _title(body, "TargetAet") or deps.scu.aet
        queries = [Retrieval(level=level, keys=with_meta(_parse_resource(value))) for value in body["Resources"]]
        plan = _plan(remote, self._method, target_aet, queries, body, "short")
        submit(deps, req, resp, _job(plan), body)


def _title(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadType
    return value


def _parse_resource(value: object) -> Dataset:
    if not isinstance(value, dict):
        raise BadField("Expecting an object in field 'Resources elements'")
    keys: Dataset = {}
    for name, key in value.items():
        tag = parse_tag(name)
        if not isinstance(key, str):
            raise BadField(f"Expecting a string in field '{name}'")
        keys[tag] = key
    return {tag: key for tag, key in keys.items() if tag != tags.QUERY_RETRIEVE_LEVEL}


class RetrieveAnswers:
    """`POST /queries/{id}/retrieve`, and of one answer `…/answers/{number}/retrieve`. A body that is no JSON is a target."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str, number: str | None = None) -> None:
        deps = self._deps
        with open_query(deps, identifier) as reader:
            query = reader.query
            keys = [_identifying(answer) for answer in _chosen(reader, number)]
        body = _read_target(read_text(req))
        form: TagForm = "simplify" if _flag(body, "Simplify") else "full" if _flag(body, "Full") else "short"
        timeout_s = _timeout(body)
        remote = Remote(
            query.modality,
            query.modality.local_aet or _title(body, "LocalAet") or query.local_aet,
            query.timeout_s if timeout_s is None else timeout_s,
        )
        target_aet = _title(body, "TargetAet")
        queries = [Retrieval(level=query.level, keys=each) for each in keys]
        method = _method(deps, body, query.modality.retrieve_method)
        plan = _plan(remote, method, deps.scu.aet if target_aet is None else target_aet, queries, body, form)
        submit(deps, req, resp, _job(plan), body)


def _chosen(reader: QueryReader, number: str | None) -> Iterable[Dataset]:
    return reader.answers() if number is None else [read_answer(reader, number)]


def _identifying(answer: Dataset) -> Dataset:
    return with_meta({tag: answer[tag] for tag in _IDENTIFYING if answer.get(tag) is not None})


def _read_target(text: str) -> dict[str, Any]:
    """Return what a body says; one that is not JSON is the title of the target."""
    if not text:
        return {}
    body = fields.parse_json(text)
    if body is fields.NOT_JSON:
        return {"TargetAet": text}
    if not isinstance(body, dict):  # Orthanc 1.12.7 fails inside
        raise BadField("Must provide a JSON object")
    return body


def _flag(body: Mapping[str, Any], name: str) -> bool:
    return fields.flag(body, name, default=False)


def _timeout(body: Mapping[str, Any]) -> int | None:
    try:
        return requested_timeout(body)
    except BadField as exc:
        raise BadType from exc


def _method(deps: Deps, body: Mapping[str, Any], of_modality: str) -> str:
    requested = parse_retrieve_method(_title(body, "RetrieveMethod") or SYSTEM_DEFAULT)
    return next(
        method for method in (requested, of_modality, deps.settings.default_retrieve_method) if method != SYSTEM_DEFAULT
    )


def _plan(
    remote: Remote, method: str, target_aet: str, queries: Sequence[Retrieval], body: Mapping[str, Any], form: TagForm
) -> RetrievePlan:
    """Raises InvalidRequest where C-MOVE lacks what names a resource."""
    if method == MOVE:
        for query in queries:
            _check_named(query.level, query.keys)
    return RetrievePlan(
        modality=remote.modality,
        method=method,
        local_aet=remote.local_aet,
        target_aet=target_aet if method == MOVE else "",
        timeout_s=remote.timeout_s,
        queries=queries,
        form=form,
        permissive=_flag(body, "Permissive"),
    )


def _check_named(level: Level, keys: Dataset) -> None:
    for tag in UNIQUE_KEYS[level]:
        if tag not in keys:
            raise InvalidRequest(f"Missing tag {format_tag(tag)}")


def _job(plan: RetrievePlan) -> JobRequest:
    return JobRequest(type=JOB_TYPE[plan.method], plan=to_plan(plan), steps=len(plan.queries), step_timeout_s=0)


def routes(deps: Deps) -> Routes:
    return {
        f"{ONE_MODALITY}/move": Retrieve(deps, MOVE),
        f"{ONE_MODALITY}/get": Retrieve(deps, GET),
        f"{ONE_QUERY}/retrieve": RetrieveAnswers(deps),
        f"{ONE_ANSWER}/retrieve": RetrieveAnswers(deps),
    }
