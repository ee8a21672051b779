"""Requests that are nearly DICOMweb: none is answered with 500 or hangs, and nothing is left of them: no memory, descriptor, thread or file.

Accept headers, queries of QIDO-RS and WADO-URI, parameters of pictures, multipart bodies, metadata in JSON and XML. They go into the application
without a network; what HTTP itself lets through is the matter of `test_http.py`.
"""

import logging
import time
from pathlib import Path

import pytest

from api.rest.image_requests import needs_codec
from events.errors import SinogramError
from tests.contract.rest_stage import RestStage, call, rest_stage
from tests.fuzz import dicomweb_inputs
from tests.fuzz.mutation import inputs, nothing_left, told
from tools.server.core import Core

SHORT = 500
MOST_S = 30.0  # for one request, on a machine that does other things, too


def check(stage: RestStage, data: bytes, caplog: pytest.LogCaptureFixture, seen: dict[int, int]) -> None:
    sent = dicomweb_inputs.read(data)
    if sent is None:
        return
    caplog.clear()
    started = time.monotonic()
    with told(data):
        try:
            answer = call(stage.app, sent.target, sent.method, sent.body, sent.headers)
        except SinogramError:  # after the first piece: the connection breaks
            seen[0] = seen.get(0, 0) + 1
        else:
            assert answer.status != 500, answer
            assert b'"OrthancStatus" : -1' not in answer.body, answer
            seen[answer.status] = seen.get(answer.status, 0) + 1
        assert time.monotonic() - started < MOST_S
        failures = [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
        assert not failures, [(record.getMessage(), record.exc_info) for record in failures]


def test_no_request_is_an_error_of_ours(archive: Core, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: dict[int, int] = {}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with rest_stage(archive, temporary_directory=temporary) as stage:  # what is loaded when it is used first stays
        assert stage.upload(dicomweb_inputs.image()).status == 200
        for good in dicomweb_inputs.requests():
            check(stage, good, caplog, seen)
        assert {*seen} <= {200, 204, 404}, "what is mutated is right before"
    with nothing_left(), rest_stage(archive, temporary_directory=temporary) as stage:
        for data in inputs(dicomweb_inputs.requests(), dicomweb_inputs.TOKENS, SHORT):
            check(stage, data, caplog, seen)
            if stage.ask(dicomweb_inputs.INSTANCE_PATH).status == 404:  # deleted
                stage.upload(dicomweb_inputs.image())
    assert not [path for path in temporary.rglob("*") if path.is_file()]
    assert {200, 400, 404, 406} <= seen.keys(), seen


def test_what_is_fuzzed_has_the_threads_of_images() -> None:
    pictures = [dicomweb_inputs.read(data) for data in dicomweb_inputs.requests() if b"/rendered" in data]
    assert pictures
    for each in pictures:
        assert each is not None
        path, _, query = each.target.partition("?")
        assert needs_codec({"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": each.method})
