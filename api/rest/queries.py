"""`POST /modalities/{name}/query`, and `/queries`: questions, their answers, and queries that go on from one answer."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, Final

import falcon

from actors.services.remote.asking import ask
from actors.services.remote.query import FIND_MODEL, find_identifier, normalize
from actors.services.remote.query_store import QueryReader, QueryWriter, StoredQuery
from api.errors import BadField, BadType, OutOfRange, UnknownRoute
from api.rest import arguments, fields, runtime
from api.rest.arguments import Paging, TagForm
from api.rest.deps import Deps, Routes
from api.rest.modalities import ONE_MODALITY, find_modality
from api.rest.remote_request import Remote, check_keys, parse_keys, parse_level, remote_of, requested_timeout
from api.rest.render_answers import render_answer, render_keys
from api.rest.render_resources import TYPE_OF_LEVEL
from api.rest.serving.auth import correlation_of
from api.rest.serving.replies import send_json, send_text, stream_list
from events.errors import NotFound
from events.identifiers import Level
from store.dicom.matching import Dataset
from store.dicom.tags import PATIENT_ID, SERIES_INSTANCE_UID, STUDY_INSTANCE_UID

CHUNK_ANSWERS: Final = 500  # rendered at once of a long list; 0.3 MB of JSON
_BELOW: Final = {
    Level.PATIENT: ("query-study", "query-series", "query-instances"),  # in the singular: so Orthanc, here alone
    Level.STUDY: ("query-series", "query-instances"),
    Level.SERIES: ("query-instances",),
    Level.INSTANCE: (),
}
# What a query below an answer takes over from it.
_INHERITED: Final = {
    Level.PATIENT: (PATIENT_ID,),
    Level.STUDY: (STUDY_INSTANCE_UID,),
    Level.SERIES: (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID),
}

_ALL: Final = Paging()

ONE_QUERY = "/queries/{identifier}"
ONE_ANSWER = f"{ONE_QUERY}/answers/{{number}}"
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
    As on Orthanc 1.12.7, other requests to modalities are not filtered: neither `find-study` and its like, nor worklists, nor echo.

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
            send_text(resp, TYPE_OF_LEVEL[reader.query.level])


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


class Answers:
    """`GET /queries/{id}/answers`: numbers, or with `expand` the answers; a long list is streamed from its file.

    Beyond Orthanc `since` and `limit` give a part of the answers.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        expand = arguments.boolean(req, "expand")
        page = arguments.paging(req, f"/queries/{identifier}/answers")
        reader = open_query(self._deps, identifier)
        if not expand:
            with reader:
                send_json(req, resp, [str(number) for number in range(reader.count)])
            return
        send_answers(req, resp, reader, form_of(req), runtime.default_encoding(self._deps), page)


def send_answers(
    req: falcon.Request,
    resp: falcon.Response,
    reader: QueryReader,
    form: TagForm,
    default_encoding: str,
    page: Paging = _ALL,
) -> None:
    """Answer with the answers of a file, or a part of them, and close it."""
    pieces = _render_pieces(reader, form, default_encoding, page)
    if reader.count <= CHUNK_ANSWERS:
        send_json(req, resp, [shown for piece in pieces for shown in piece])
    else:
        stream_list(req, resp, pieces)


def _render_pieces(
    reader: QueryReader, form: TagForm, default_encoding: str, page: Paging
) -> Iterator[list[dict[str, Any]]]:
    numbers = range(reader.count)[page.since :]
    with reader:
        answers = map(reader.answer, numbers[: page.limit] if page.limit else numbers)
        while piece := [render_answer(answer, form, default_encoding) for answer in islice(answers, CHUNK_ANSWERS)]:
            yield piece


def read_answer(reader: QueryReader, number: str) -> Dataset:
    """Return the answer that a path names. Raises BadType, OutOfRange."""
    try:
        return reader.answer(int(number))
    except ValueError as exc:
        raise BadType("Syntax error in some user-supplied data") from exc
    except IndexError as exc:
        raise OutOfRange from exc


class OneAnswer:
    """`GET /queries/{id}/answers/{number}`: what can be done with it."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, number: str) -> None:
        with open_query(self._deps, identifier) as reader:
            read_answer(reader, number)
            send_json(req, resp, ["content", "retrieve", *_BELOW[reader.query.level]])


class AnswerContent:
    """`GET /queries/{id}/answers/{number}/content`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, number: str) -> None:
        with open_query(self._deps, identifier) as reader:
            answer = read_answer(reader, number)
        send_json(req, resp, render_answer(answer, form_of(req), runtime.default_encoding(self._deps)))


class QueryBelow:
    """`POST /queries/{id}/answers/{number}/query-studies` and its like: always normalised, whatever the body says."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str, number: str) -> None:
        with open_query(self._deps, identifier) as reader:
            query = reader.query
            if query.level >= self._level:
                raise UnknownRoute
            answer = read_answer(reader, number)
        body = fields.read_object(req)
        keys = parse_keys(body)
        keys |= {tag: answer.get(tag) or "" for tag in _INHERITED[query.level]}
        timeout_s = requested_timeout(body)
        remote = Remote(query.modality, query.local_aet, query.timeout_s if timeout_s is None else timeout_s)
        send_json(req, resp, start_query(self._deps, remote, self._level, keys, correlation_of(req)))


def routes(deps: Deps) -> Routes:
    return {
        f"{ONE_MODALITY}/query": StartQuery(deps),
        "/queries": Queries(deps),
        ONE_QUERY: OneQuery(deps),
        f"{ONE_QUERY}/level": QueryLevel(deps),
        f"{ONE_QUERY}/modality": QueryModality(deps),
        f"{ONE_QUERY}/query": QueryKeys(deps),
        f"{ONE_QUERY}/answers": Answers(deps),
        ONE_ANSWER: OneAnswer(deps),
        f"{ONE_ANSWER}/content": AnswerContent(deps),
        f"{ONE_ANSWER}/query-studies": QueryBelow(deps, Level.STUDY),
        f"{ONE_ANSWER}/query-series": QueryBelow(deps, Level.SERIES),
        f"{ONE_ANSWER}/query-instances": QueryBelow(deps, Level.INSTANCE),
    }
