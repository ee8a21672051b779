"""The few kinds of answers REST resources give, with the headers Orthanc gives them."""

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
    if wants_xml(req):
        resp.content_type = XML
        resp.data = orthanc_xml.encode(value)
        return
    resp.content_type = JSON
    resp.data = orthanc_json.encode(value)


def send_text(resp: falcon.Response, text: str = "") -> None:
    """Answer with plain text, as Orthanc does for single values and for what has no result."""
    resp.content_type = TEXT
    resp.data = text.encode()


def send_empty_object(resp: falcon.Response) -> None:
    """Answer with an empty JSON object, without a charset, as Orthanc does for some of what has no result."""
    resp.content_type = "application/json"
    resp.data = b"{}"
