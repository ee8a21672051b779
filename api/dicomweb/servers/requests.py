"""`servers/{name}/get`, `/qido` and `/delete`: a request to another DICOMweb server, answered with its answer.

Source: observed on Orthanc 1.12.7 with version 1.20 of its plugin.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import falcon

from actors.services.remote.asking import as_busy
from actors.services.remote.dicomweb_servers import HAS_DELETE, address, can, handed_on
from actors.wire.errors import RemoteFailed
from actors.wire.http.peer import Peer
from api.dicomweb.handlers import Handlers
from api.dicomweb.servers.descriptions import NO_JSON, ONE_SERVER
from api.errors import BadField, OutOfRange
from api.rest import fields
from api.rest.deps import Deps
from api.rest.serving.file_pieces import Closing
from api.rest.serving.replies import send_empty_object, send_json
from store.dicom.dictionary import tag_name

# Of an answer that is handed on: its connection and its length are ours, and so is what a browser may do with it.
_OURS: Final = frozenset(
    {
        *("connection", "keep-alive", "transfer-encoding", "content-length", "content-type", "trailer", "upgrade"),
        *("set-cookie", "www-authenticate", "strict-transport-security", "clear-site-data", "content-security-policy"),
    }
)
_OF_CORS: Final = "access-control-"
_LEVELS: Final = {"study": 1, "series": 2, "instance": 3}
_ADDRESSES: Final = (("studies", "StudyInstanceUID"), ("series", "SeriesInstanceUID"), ("instances", "SOPInstanceUID"))
_WITHOUT_URI: Final = (
    'A request to the DICOMweb client must provide a JSON object with the field "Uri" containing the URI of interest'
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the body of a request wants of a server."""

    server: Peer
    target: str  # what stands behind the address of the server
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class Requests:
    """What is answered at once."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Whatever the server answers, while it comes."""
        asked, deps = read_asked(self._deps, req, name), self._deps
        client = deps.dicomweb_client()
        with ExitStack() as stack:
            stack.enter_context(as_told())
            answer = stack.enter_context(client.open(asked.server, asked.target, deps.stopping, asked.headers))
            for header, value in answer.headers.items():
                if header.lower() not in _OURS and not header.lower().startswith(_OF_CORS):
                    resp.append_header(header, value)
            resp.content_type = answer.headers.get("Content-Type", "application/octet-stream")
            if (length := answer.headers.get("Content-Length", "")).isdecimal():
                resp.content_length = length
            resp.stream = Closing(answer.pieces(), stack.pop_all())

    def search(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The matches, with names of their attributes and the first value of each."""
        asked, deps = read_asked(self._deps, req, name), self._deps
        with as_told():
            matches = deps.dicomweb_client().search(asked.server, asked.target, deps.stopping, asked.headers)
        send_json(req, resp, [_named(match) for match in matches])

    def delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps, server = self._deps, self._deps.dicomweb_servers.get(name)
        body = fields.read_json(req)
        if not isinstance(body, dict) or not {"Level", "StudyInstanceUID"} <= body.keys():
            raise BadField('The request body must contain a JSON object with fields "Level" and "StudyInstanceUID"')
        target = _deleted(body)
        if not can(server, HAS_DELETE):
            raise BadField(f'Cannot delete on DICOMweb server, check out property "HasDelete": {name}')
        with as_told():
            deps.dicomweb_client().delete(server, target, deps.stopping)
        send_empty_object(resp)


def _deleted(body: Mapping[str, Any]) -> str:
    level = _LEVELS.get(fields.text(body, "Level").lower())
    if level is None:
        raise OutOfRange(f"Level can be Study, Series or Instance: {body['Level']:.60}")
    for _, uid in _ADDRESSES[1:level]:
        if uid not in body:
            raise BadField(f'The request body must contain the field "{uid}"')
    return "/".join(f"{kind}/{quote(fields.text(body, uid), safe='')}" for kind, uid in _ADDRESSES[:level])


def read_asked(deps: Deps, req: falcon.Request, name: str) -> Asked:
    """Return what a body with `Uri`, `Arguments` and `HttpHeaders` wants. Raises BadField, RemoteFailed."""
    body = fields.read_json(req)
    if body is fields.NOT_JSON:
        raise BadField(NO_JSON)
    if not isinstance(body, dict) or "Uri" not in body:
        raise BadField(_WITHOUT_URI)
    uri = text_in(body, "Uri")
    if "?" in uri:
        raise BadField(f'The GET arguments must be provided in a separate field (explicit "?" is disallowed): {uri}')
    target = address(uri, strings_in(body, "Arguments"))
    return Asked(deps.dicomweb_servers.get(name), target, strings_in(body, "HttpHeaders"), body)


def text_in(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise BadField(f'The field "{name}" in a JSON object should be a string')
    return value


def strings_in(body: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """Return an object of strings, an empty one where there is none. Raises BadField."""
    values = body.get(name, {})
    if not isinstance(values, dict):
        raise BadField("The JSON object is not a JSON associative array as expected")
    for key, value in values.items():
        if not isinstance(value, str):
            raise BadField(f'Value "{key}" in the associative array is not a string as expected')
    return values


@contextmanager
def as_told() -> Iterator[None]:
    """Let errors of a server be told as Orthanc's plugin does."""
    try:
        with as_busy():
            yield
    except RemoteFailed as exc:
        raise handed_on(exc) from exc


def _named(match: Mapping[str, Any]) -> dict[str, Any]:
    """Return a match in the form of the plugin: what is no element of DICOM JSON is left out."""
    shown = {}
    for tag, element in match.items():
        number = _number(tag)
        if number is not None and isinstance(element, dict):
            named = {
                "Element": number & 0xFFFF,
                "Group": number >> 16,
                "Name": tag_name(number),
                "vr": element.get("vr", "UN"),
            }
            value = _first(element)
            shown[tag] = named if value is None else named | {"Value": value}
    return shown


def _number(tag: str) -> int | None:
    try:
        return int(tag, 16) if len(tag) == 8 else None
    except ValueError:
        return None


def _first(element: Mapping[str, Any]) -> str | float | None:
    values = element.get("Value")
    value = values[0] if isinstance(values, list) and values else None
    if isinstance(value, dict):
        value = value.get("Alphabetic")  # of a name; an item of a sequence has none
    return value if isinstance(value, str | int | float) else None


def handlers(deps: Deps) -> Handlers:
    requests = Requests(deps)
    return {
        f"{ONE_SERVER}/get": {"POST": requests.get},
        f"{ONE_SERVER}/qido": {"POST": requests.search},
        f"{ONE_SERVER}/delete": {"POST": requests.delete},
    }
