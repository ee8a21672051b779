"""`/modalities/{name}/echo`, `find-…` and `/tools/dicom-echo`: questions to a modality for which the client waits."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

import falcon

from actors.services.remote.asking import ask, check, decode, open_for_finding
from actors.services.remote.modality import Modality
from actors.services.remote.query import FIND_MODEL, TEMPLATES, find_identifier, normalize, worklist_identifier
from actors.services.remote.query_store import StoredQuery
from api.errors import BadField, RefusedQuery
from api.rest import fields, runtime
from api.rest.arguments import parse_tag
from api.rest.deps import Deps, Routes
from api.rest.modalities import ONE_MODALITY, find_modality, parse_modality
from api.rest.queries import send_answers, write_answers
from api.rest.remote_request import Remote, check_keys, parse_nested_keys, remote_of, requested_timeout
from api.rest.render_answers import render_answer, render_worklist
from api.rest.render_resources import TYPE_OF_LEVEL
from api.rest.serving.body import read_text
from api.rest.serving.replies import send_json
from events.identifiers import Level
from store.dicom.matching import Dataset
from store.dicom.tags import ACCESSION_NUMBER, PATIENT_ID, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from store.dicom.uids import WORKLIST_FIND

_SHORTEST_KEY: Final = 3  # characters of an identifier that names few enough resources
# Which identifiers must be given for a level, at least one of each group.
_REQUIRED: Final = {
    Level.PATIENT: (),
    Level.STUDY: ((ACCESSION_NUMBER, PATIENT_ID),),
    Level.SERIES: ((ACCESSION_NUMBER, PATIENT_ID), (STUDY_INSTANCE_UID,)),
    Level.INSTANCE: ((ACCESSION_NUMBER, PATIENT_ID), (STUDY_INSTANCE_UID,), (SERIES_INSTANCE_UID,)),
}


# -- echo -------------------------------------------------------------------------------------------------------------


class Echo:
    """`POST /modalities/{name}/echo`; the body may be empty."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        body = _read_echo(req, may_be_empty=True)
        _echo(self._deps, resp, find_modality(self._deps, name), body)


class ToolEcho:
    """`POST /tools/dicom-echo`: of a modality that the body describes."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = _read_echo(req, may_be_empty=False)
        _echo(self._deps, resp, parse_modality("", body), body)


def _read_echo(req: falcon.Request, *, may_be_empty: bool) -> Any:
    text = read_text(req)
    if may_be_empty and not text:
        return {}
    body = fields.parse_json(text)
    if body is fields.NOT_JSON:
        raise BadField("Cannot parse the JSON body")
    return body


def _echo(deps: Deps, resp: falcon.Response, modality: Modality, body: Any) -> None:
    options: Mapping[str, Any] = body if isinstance(body, dict) else {}
    checks_find = fields.flag(options, "CheckFind", default=deps.settings.dicom_echo_checks_find)
    remote = remote_of(deps, modality, None, requested_timeout(options))
    check(remote.target(deps), deps.stopping, checks_find=checks_find)
    resp.content_type = "application/json"  # without a charset: so Orthanc
    resp.data = b"{}"


# -- find-patient and its like ----------------------------------------------------------------------------------------


class FindLevel:
    """`POST /modalities/{name}/find-study` and its like: the body holds keys, the answer the answers.

    Answers are gathered in a file before the first is sent on, since the remote may fail after any of them.
    """

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps, level = self._deps, self._level
        keys = _template(level, _read_keys(req))
        _check_width(level, keys)
        remote = remote_of(deps, find_modality(deps, name), None, None)
        identifier, encoding = _identifier(deps, remote.modality, level, keys)
        default = runtime.default_encoding(deps)
        query = StoredQuery(
            modality=remote.modality, level=level, keys=keys, local_aet="", timeout_s=0, default_encoding=default
        )
        with deps.queries.create(query) as writer:
            write_answers(deps, remote, writer, identifier, encoding)
            reader = writer.read()
        send_answers(req, resp, reader, "simplify", default)


class FindAll:
    """`POST /modalities/{name}/find`: patients with their studies and those with their series, on one association."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps = self._deps
        keys = _read_keys(req)
        remote = remote_of(deps, find_modality(deps, name), None, None)
        default = runtime.default_encoding(deps)
        budget = deps.queries.limits.budget(remote.modality.aet, in_memory=True)
        with open_for_finding(remote.target(deps), deps.stopping) as find:

            def below(level: Level, keys: Dataset) -> list[dict[str, Any]]:
                identifier, encoding = _identifier(deps, remote.modality, level, _template(level, keys))
                with closing(find(FIND_MODEL[level], identifier, encoding)) as matches:
                    found = [decode(budget.take(match), default) for match in matches]
                shown = [render_answer(answer, "simplify", default) for answer in found]
                if level != Level.SERIES:
                    name = "Studies" if level == Level.PATIENT else "Series"
                    for answer, rendered in zip(found, shown, strict=True):
                        rendered[name] = below(Level(level + 1), _keys_below(level, answer))
                return shown

            shown = below(Level.PATIENT, keys)
        send_json(req, resp, shown)


def _keys_below(level: Level, answer: Dataset) -> Dataset:
    names = (PATIENT_ID,) if level == Level.PATIENT else (PATIENT_ID, STUDY_INSTANCE_UID)
    return {tag: answer.get(tag) or "" for tag in names}


def _identifier(deps: Deps, modality: Modality, level: Level, keys: Dataset) -> tuple[Dataset, str]:
    """Return what is sent, and its encoding."""
    sent = normalize(level, keys, modality.manufacturer)
    encoding = check_keys(deps, sent)
    return find_identifier(level, sent, modality.manufacturer, encoding), encoding


def _template(level: Level, keys: Dataset) -> Dataset:
    return dict.fromkeys(TEMPLATES[level], "") | keys


def _read_keys(req: falcon.Request) -> Dataset:
    """Return the keys in a body; numbers and Booleans count as their text. Raises UnknownTag."""
    body = fields.read_json(req)
    if not isinstance(body, dict):
        return {}
    return {parse_tag(name): value if isinstance(value, str) else _text(value) for name, value in body.items()}


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, list | dict) else str(value)


def _check_width(level: Level, keys: Dataset) -> None:
    for group in _REQUIRED[level]:
        if all(len(str(keys.get(tag) or "")) < _SHORTEST_KEY for tag in group):
            raise RefusedQuery


# -- worklists --------------------------------------------------------------------------------------------------------


class FindWorklist:
    """`POST /modalities/{name}/find-worklist`; the keys stand in `Query` or are the body."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps = self._deps
        body = fields.read_object(req)
        options = body if "Query" in body else {}
        keys = parse_nested_keys(body.get("Query", body))
        form: Any = "simplify"
        if fields.flag(options, "Short", default=False):
            form = "short"
        elif fields.flag(options, "Full", default=False):
            form = "full"
        remote: Remote = remote_of(deps, find_modality(deps, name), None, requested_timeout(options))
        encoding = check_keys(deps, keys)
        default = runtime.default_encoding(deps)
        identifier = worklist_identifier(keys, encoding)
        budget = deps.queries.limits.budget(remote.modality.aet, in_memory=True)
        with closing(
            ask(remote.target(deps), WORKLIST_FIND, identifier, encoding, deps.stopping, deps.finds)
        ) as answers:
            shown = [render_worklist(decode(budget.take(answer), default), form) for answer in answers]
        send_json(req, resp, shown)


def routes(deps: Deps) -> Routes:
    return {
        "/tools/dicom-echo": ToolEcho(deps),
        f"{ONE_MODALITY}/echo": Echo(deps),
        f"{ONE_MODALITY}/find": FindAll(deps),
        f"{ONE_MODALITY}/find-worklist": FindWorklist(deps),
        **{f"{ONE_MODALITY}/find-{TYPE_OF_LEVEL[level].lower()}": FindLevel(deps, level) for level in Level},
    }
