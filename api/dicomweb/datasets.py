"""Answers that are lists of datasets: DICOM JSON, or a document of the Native DICOM Model for each (PS3.18 §8.7.3, Annex F; PS3.19 Annex A).

They leave as they are made; none is held. Which of both a client wants is told before anything is looked for.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import falcon
import msgspec

from actors.wire.multipart import RELATED, PartHeaders, draw_boundary, write_parts
from api.dicomweb.accept import parse_accept
from api.dicomweb.parts import gathered
from api.errors import NotAcceptable
from store.dicom.dicom_json import Json
from store.dicom.native_model import render_native_model

SENT_BYTES: Final = 1 << 16  # at once
JSON: Final = "application/dicom+json"
XML: Final = "application/dicom+xml"
_JSON_NAMES: Final = (JSON, "application/json")


def wants_xml(req: falcon.Request) -> bool:
    """Tell whether a list of datasets is to be given as XML. Raises NotAcceptable where the client takes neither."""
    for wanted in parse_accept(req):
        if any(map(wanted.takes, _JSON_NAMES)) and not (wanted.is_multipart and wanted.type == "*/*"):
            return False
        if wanted.takes(XML):
            return True
    raise NotAcceptable(f'Datasets are offered as {JSON} and as {RELATED}; type="{XML}"')


def encode_json(dataset: Json) -> bytes:
    """Return a dataset as text, in UTF-8."""
    try:
        encoded: bytes = msgspec.json.encode(dataset)  # a quarter of the time
    except UnicodeEncodeError:  # what no character stands for
        return json.dumps(dataset, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return encoded


def send_json(resp: falcon.Response, texts: Iterable[bytes]) -> None:
    """Answer with a list of datasets that are JSON already, a piece at a time as they come."""
    resp.content_type = JSON
    _send(resp, _list(texts))


def send_xml(resp: falcon.Response, documents: Iterable[bytes]) -> None:
    """Answer with a part for each document."""
    boundary = draw_boundary()
    resp.content_type = f'{RELATED}; type="{XML}"; boundary={boundary.decode()}'
    _send(resp, write_parts(((PartHeaders({"Content-Type": XML}), (each,)) for each in documents), boundary))


def send_datasets(resp: falcon.Response, datasets: Iterable[Json], *, as_xml: bool) -> None:
    """Answer with a list of datasets."""
    if as_xml:
        send_xml(resp, map(render_native_model, datasets))
    else:
        send_json(resp, map(encode_json, datasets))


def _send(resp: falcon.Response, pieces: Iterator[bytes]) -> None:
    """Send pieces, small ones together: each that leaves by itself costs 70 µs. A short answer has a length."""
    made = gathered(pieces, SENT_BYTES)
    first = next(made, b"")
    second = next(made, None)
    if second is None:
        resp.data = first
    else:
        resp.stream = chain((first, second), made)


def _list(texts: Iterable[bytes]) -> Iterator[bytes]:
    before = b"["
    for text in texts:
        yield before + text
        before = b","
    yield b"[]" if before == b"[" else b"]"
