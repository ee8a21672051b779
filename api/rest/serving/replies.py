"""The few kinds of answers REST resources give, with the headers Orthanc gives them."""

from collections.abc import Iterable, Sequence
from typing import Any

import falcon

from api.rest.serving import orthanc_json, orthanc_xml

JSON = "application/json; charset=utf-8"
XML = "application/xml; charset=utf-8"
TEXT = "text/plain"
BINARY = "application/octet-stream"


def wants_xml(req: falcon.Request) -> bool:
    """Tell whether a JSON answer is to be given as XML."""
    return orthanc_xml.is_wanted(req.env.get("HTTP_ACCEPT", ""))


def send_json(req: falcon.Request, resp: falcon.Response, value: Any) -> None:
    """Answer with a JSON value (whatever JSON can hold), or the same as XML if that is asked for."""
    resp.data = orthanc_xml.encode(value) if _choose(req, resp) is XML else orthanc_json.encode(value)


def stream_list(req: falcon.Request, resp: falcon.Response, pieces: Iterable[Sequence[Any]]) -> None:
    """Answer with a list, likewise, that is made piece by piece while it leaves."""
    resp.stream = orthanc_xml.encode_list(pieces) if _choose(req, resp) is XML else orthanc_json.encode_list(pieces)


def stream_object(req: falcon.Request, resp: falcon.Response, members: Iterable[tuple[str, Any]]) -> None:
    """Answer with an object, likewise, whose members come in the order of their names."""
    is_xml = _choose(req, resp) is XML
    resp.stream = orthanc_xml.encode_object(members) if is_xml else orthanc_json.encode_object(members)


def _choose(req: falcon.Request, resp: falcon.Response) -> str:
    resp.content_type = XML if wants_xml(req) else JSON
    return resp.content_type


def send_text(resp: falcon.Response, text: str = "") -> None:
    """Answer with plain text, as Orthanc does for single values and for what has no result."""
    resp.content_type = TEXT
    resp.data = text.encode()


def send_empty_object(resp: falcon.Response) -> None:
    """Answer with an empty JSON object, without a charset, as Orthanc does for some of what has no result."""
    resp.content_type = "application/json"
    resp.data = b"{}"
