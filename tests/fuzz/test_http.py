"""Requests that are nearly HTTP, on a real socket: each is answered or its connection closed, and the server serves the next one.

A failure of ours is a stack in the log, or an answer with Orthanc's code of an internal error.
"""

import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.http_serving import DEADLINE_S, connect, serving
from tests.contract.rest_stage import rest_stage
from tests.fuzz import http_inputs
from tests.fuzz.mutation import inputs, nothing_left, told
from tools.server.core import Core

CLIENTS = 8
BATCH = 400
SILENCE_S = 0.5
PATIENCE_S = 0.3
LAST = b"GET /system HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def exchange(address: tuple[str, int], data: bytes, patience_s: float = PATIENCE_S) -> bytes:
    """Send what may be a request and another one that ends the connection; returns all that is answered.

    A client that hears nothing, for its body is not complete, goes away.
    """
    answer = b""
    try:
        with connect(address, data + LAST) as client:
            client.settimeout(patience_s)
            while piece := client.recv(1 << 16):
                answer += piece
    except (ConnectionError, TimeoutError):  # the server may hang up on what it does not understand
        pass
    return answer


def check(address: tuple[str, int], data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with told(data):
        answer = exchange(address, data)
        assert b'"OrthancStatus" : -1' not in answer, answer
        failures = [
            record for record in caplog.get_records("call") if record.exc_info or record.levelno >= logging.ERROR
        ]
        assert not failures, [(record.getMessage(), record.exc_info) for record in failures]


def serves(address: tuple[str, int]) -> bool:
    answer = exchange(address, b"", DEADLINE_S)
    return answer.startswith(b"HTTP/1.1 200 ") and b'"ApiVersion"' in answer


def batches(data: Iterable[bytes]) -> Iterator[list[bytes]]:
    source = iter(data)
    while batch := list(itertools.islice(source, BATCH)):
        yield batch


def test_whatever_is_sent_the_server_serves_the_next_request(
    archive: Core, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    # The archive keeps its folder of blobs open from now on, libuv a pipe for all loops.
    with rest_stage(archive, temporary_directory=tmp_path) as stage, serving(stage.app, is_alone=False) as address:
        assert serves(address)
        identifier = json.loads(stage.upload(http_inputs.instance(3)).body)["ID"]
    good = http_inputs.requests(identifier)
    with (
        nothing_left(),
        rest_stage(archive, temporary_directory=tmp_path, maximum_request_body_size_mb=1) as stage,
        serving(stage.app, threads=4, silence_s=SILENCE_S, is_alone=False) as address,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        for batch in batches(inputs(good, http_inputs.TOKENS, short=1_500)):
            list(clients.map(lambda data: check(address, data, caplog), batch))
            assert serves(address)
            caplog.clear()
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
