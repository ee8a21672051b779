"""Queries of the feed's routes that are nearly right: each is answered, and none by an error of ours."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote_from_bytes

from tests.contract.rest_stage import environ_of, rest_stage
from tests.dicom_bytes import dataset, encode
from tests.fuzz.mutation import inputs, told
from tools.server.core import Core

GOOD = (
    b"since=0&limit=10",
    b"since=now&wait=1",
    b"since=2&to=4&order=desc",
    b"types=instance-stored,study-created/1&levels=Patient,Study",
    b"resource=0123abcd-0123abcd-0123abcd-0123abcd-0123abcd&wait=60",
    b"Last-Event-ID=3&since=now",
)
TOKENS = (
    *(
        b"since=",
        b"limit=",
        b"to=",
        b"types=",
        b"levels=",
        b"resource=",
        b"wait=",
        b"order=",
        b"&",
        b"=",
        b",",
        b"/",
        b"+",
        b"%",
    ),
    *(
        b"now",
        b"desc",
        b"asc",
        b"-1",
        b"0",
        b"61",
        b"9" * 18,
        b"9" * 19,
        b"9" * 400,
        b"1e9",
        b"NaN",
        b"instance-stored/1",
        b"head",
    ),
    *(b"\0", b"\xff", b"\xc3\xa9", b"\xc2\xb2", b"\xed\xa0\x80", b"\r\n", b",," * 500, b"Patient,", b"A" * 5000),
)
ACCEPTS = (
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/xml",
    "*/*;q=x, text/event-stream;q=0,,;",
)
ANSWERED = {200, 204, 400, 403, 404}


def test_whatever_is_asked_is_answered(archive: Core) -> None:
    with rest_stage(archive) as stage:
        identifier = json.loads(stage.upload(encode(dataset(1, 1, 1, 1))).body)["ID"]
        paths = ("/events", "/events/head", f"/instances/{identifier}/history", "/events/3", "/studies/x/history")
        for number, query in enumerate(inputs(GOOD, TOKENS, short=600)):
            with told(query):
                path, accept = paths[number % 7 if number % 7 < len(paths) else 0], ACCEPTS[number % len(ACCEPTS)]
                headers = (
                    {"Accept": accept, "Last-Event-ID": query[:9].decode("latin-1")}
                    if number % 3
                    else {"Accept": accept}
                )
                assert _ask(stage.app, path, query, headers) in ANSWERED
        for name in inputs([b"3", b"head", b"99"], TOKENS, short=100):
            with told(name):
                assert _ask(stage.app, "/events/" + quote_from_bytes(name, safe=""), b"", {}) in ANSWERED | {405}


def _ask(app: Any, path: str, query: bytes, headers: dict[str, str]) -> int:
    """Return the status; a body that the event loop would send is left unsent."""
    statuses: list[int] = []

    def start_response(status: str, _headers: Any, _exc_info: Any = None) -> None:
        statuses.append(int(status[:3]))

    environ = environ_of(path, "GET", b"", headers)
    environ["QUERY_STRING"] = query.decode("latin-1")
    parts: Iterable[bytes] = app(environ, start_response)
    if hasattr(parts, "close"):
        parts.close()
    return statuses[0]
