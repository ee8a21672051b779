"""`POST /modalities/{name}/query`, and what `/queries/{id}` says of a query."""

from contextlib import closing
from typing import Any

import falcon

from actors.services.remote.asking import ask
from actors.services.remote.query import FIND_MODEL, find_identifier, normalize
from actors.services.remote.query_store import QueryReader, QueryWriter, StoredQuery
from api.errors import BadField, UnknownRoute
from api.rest import fields, runtime
from api.rest.arguments import TagForm
from api.rest.correlation import correlation_of
from api.rest.deps import Deps
from api.rest.modalities import find_modality
from api.rest.remote_request import Remote, check_keys, parse_keys, parse_level, remote_of, requested_timeout
from api.rest.render_answers import render_keys
from api.rest.replies import send_json, send_text
from events.errors import NotFound
from events.identifiers import Level
from store.dicom.matching import Dataset

LEVEL_NAMES = {Level.PATIENT: "Patient", Level.STUDY: "Study", Level.SERIES: "Series", Level.INSTANCE: "Instance"}
_CONTENTS = ("answers", "level", "modality", "query", "retrieve")  # of a query, as Orthanc lists them


class StartQuery:
    """`POST /modalities/{name}/query`: answered with the query's name when all answers are there."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        body = fields.read_object(req)
        if not isinstance(body.get("Level"), str):
            raise BadField("The JSON body must contain field Level")
        level = parse_level(body["Level"])
        if not isinstance(body.get("Query", {}), dict):
            raise BadField("The field Query must contain a JSON object")
        keys = parse_keys(body)
        is_normalized = body.get("Normalize", True)
        if not isinstance(is_normalized, bool):
            raise BadField("The field Normalize must contain a Boolean")
        if not isinstance(body.get("LocalAet", ""), str):
            raise BadField("The field LocalAet must contain a string")
        timeout_s = requested_timeout(body)
        remote = remote_of(self._deps, find_modality(self._deps, name), body.get("LocalAet"), timeout_s)
        started = start_query(self._deps, remote, level, keys, correlation_of(req), is_normalized=is_normalized)
        send_json(req, resp, started)


def start_query(
    deps: Deps, remote: Remote, level: Level, keys: Dataset, correlation: bytes, *, is_normalized: bool = True
) -> dict[str, Any]:
    """Ask a modality and keep its answers; returns where they are found.

    OutgoingFindRequestFilter of scripts may change what is asked, before normalisation; the query is shown as the client gave it.
    As on Orthanc 1.12.7, nothing else that asks modalities is filtered: neither `find-study` and its like, nor worklists, nor echo.

    Raises RemoteFailed, OutOfRange, BadField, ScriptFailed, Busy.
    """
    modality = remote.modality
    asked = deps.filters.filter_question(keys, modality.aet, correlation)
    sent = normalize(level, asked, modality.manufacturer) if is_normalized else asked
    encoding = check_keys(deps, sent)
    identifier = find_identifier(level, sent, modality.manufacturer, encoding)
    query = StoredQuery(
        modality=modality,
        level=level,
        keys=keys,
        local_aet=remote.local_aet,
        timeout_s=remote.timeout_s,
        default_encoding=runtime.default_encoding(deps),
    )
    with deps.queries.create(query) as writer:
        write_answers(deps, remote, writer, identifier, encoding)
        name = writer.keep()
    deps.queries.trim()
    return {"ID": name, "Path": f"/queries/{name}"}


def write_answers(deps: Deps, remote: Remote, writer: QueryWriter, identifier: Dataset, encoding: str) -> None:
    """Ask a modality and write down what it answers. Raises RemoteFailed, Busy, StorageFull."""
    model = FIND_MODEL[writer.level]
    budget = deps.queries.limits.budget(remote.modality.aet)
    with closing(ask(remote.target(deps), model, identifier, encoding, deps.stopping, deps.finds)) as answers:
        for answer in answers:
            writer.write(budget.take(answer))


def open_query(deps: Deps, identifier: str) -> QueryReader:
    """Open a query that a path names. Raises UnknownRoute."""
    try:
        return deps.queries.open(identifier)
    except NotFound as exc:
        raise UnknownRoute from exc


def form_of(req: falcon.Request) -> TagForm:
    """Return how tags are shown below `/queries`: `?simplify`, `?short`, else in full."""
    if req.has_param("simplify"):
        return "simplify"
    return "short" if req.has_param("short") else "full"


class Queries:
    """`GET /queries`: the names of those that are kept."""

    def __init__(self, deps: Deps) -> None:
        self._queries = deps.queries

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(req, resp, self._queries.names())


class OneQuery:
    """`GET` and `DELETE` of a query."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with open_query(self._deps, identifier):
            send_json(req, resp, list(_CONTENTS))

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        self._deps.queries.remove(identifier)
        send_text(resp)


class QueryLevel:
    """`GET /queries/{id}/level`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, _req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with open_query(self._deps, identifier) as reader:
            send_text(resp, LEVEL_NAMES[reader.query.level])


class QueryModality:
    """`GET /queries/{id}/modality`: its symbolic name."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, _req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with open_query(self._deps, identifier) as reader:
            send_text(resp, reader.query.modality.name)


class QueryKeys:
    """`GET /queries/{id}/query`: what was asked for, as the client gave it."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with open_query(self._deps, identifier) as reader:
            send_json(req, resp, render_keys(reader.query.keys, form_of(req)))
