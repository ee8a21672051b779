"""`/queries/{id}/answers` and below: what a modality has answered, and queries that go on from one answer."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import falcon

from actors.services.remote.query_store import QueryReader
from api.errors import BadType, OutOfRange, UnknownRoute
from api.rest import arguments, fields, orthanc_json, runtime
from api.rest.arguments import TagForm
from api.rest.correlation import correlation_of
from api.rest.deps import Deps
from api.rest.queries import form_of, open_query, start_query
from api.rest.remote_request import Remote, parse_keys, requested_timeout
from api.rest.render_answers import render_answer
from api.rest.replies import JSON, send_json, wants_xml
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


class Answers:
    """`GET /queries/{id}/answers`: numbers, or with `expand` the answers; a long list is streamed from its file."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        expand = arguments.boolean(req, "expand")
        reader = open_query(self._deps, identifier)
        if not expand:
            with reader:
                send_json(req, resp, [str(number) for number in range(reader.count)])
            return
        send_answers(req, resp, reader, form_of(req), runtime.default_encoding(self._deps))


def send_answers(
    req: falcon.Request, resp: falcon.Response, reader: QueryReader, form: TagForm, default_encoding: str
) -> None:
    """Answer with every answer of a file, and close it."""
    pieces = _render_pieces(reader, form, default_encoding)
    if reader.count <= CHUNK_ANSWERS or wants_xml(req):
        send_json(req, resp, [shown for piece in pieces for shown in piece])
        return
    resp.content_type = JSON
    resp.stream = orthanc_json.encode_list(pieces)


def _render_pieces(reader: QueryReader, form: TagForm, default_encoding: str) -> Iterator[list[dict[str, Any]]]:
    with reader:
        answers = reader.answers()
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
