"""`/modalities`: the remote modalities, as they are configured and as REST has changed them.

A modality is shown and taken as Orthanc 1.12.7 does, in both forms; so are its messages.
"""

from typing import Any, Final

import falcon

from actors.services.remote.modality import LAST_PORT, NAME, PERMISSIONS, RETRIEVE_METHODS, Kind, Modality
from actors.services.remote.modality import parse_modality as read_modality
from api.errors import BadField, InexistentItem, OutOfRange
from api.rest import arguments, fields
from api.rest.deps import Deps, Routes
from api.rest.serving.auth import correlation_of
from api.rest.serving.replies import send_json, send_text
from events.errors import NotFound

_LONGEST_NAME: Final = 200  # what a key of the index holds with ease; Orthanc has no limit

ONE_MODALITY = "/modalities/{name}"
# What lies below a modality, as Orthanc lists it.
OPERATIONS = (
    "configuration",
    "echo",
    "find",
    "find-instance",
    "find-patient",
    "find-series",
    "find-study",
    "find-worklist",
    "get",
    "move",
    "query",
    "storage-commitment",
    "store",
    "store-straight",
)


class Modalities:
    """`GET /modalities`: names, or with `expand` everything."""

    def __init__(self, deps: Deps) -> None:
        self._modalities = deps.modalities

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        expand = arguments.boolean(req, "expand")
        known = self._modalities.list()
        shown: Any = [modality.name for modality in known]
        if expand:
            shown = {modality.name: render_modality(modality) for modality in known}
        send_json(req, resp, shown)


class OneModality:
    """`GET`, `PUT` and `DELETE` of a modality."""

    def __init__(self, deps: Deps) -> None:
        self._modalities = deps.modalities

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if self._modalities.find(name) is None:
            raise NotFound
        send_json(req, resp, list(OPERATIONS))

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        modality = parse_modality(name, fields.read_json(req))
        check_name(name)
        self._modalities.put(modality, correlation_of(req))
        send_text(resp)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if not self._modalities.remove(name, correlation_of(req)):
            raise InexistentItem(f"Unknown DICOM modality with symbolic name: {name}")
        send_text(resp)


class ModalityConfiguration:
    """`GET /modalities/{name}/configuration`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        send_json(req, resp, render_modality(find_modality(self._deps, name)))


def find_modality(deps: Deps, name: str) -> Modality:
    """Return the modality that a path names. Raises InexistentItem."""
    modality = deps.modalities.find(name)
    if modality is None:
        raise InexistentItem(f"No modality with symbolic name: {name}")
    return modality


def render_modality(modality: Modality) -> dict[str, Any]:
    """Return what `GET /modalities/{id}/configuration` shows."""
    return {
        "AET": modality.aet,
        "AllowTranscoding": modality.allow_transcoding,
        "Host": modality.host,
        "LocalAet": modality.local_aet,
        "Manufacturer": modality.manufacturer,
        "Port": modality.port,
        "RetrieveMethod": modality.retrieve_method,
        "Timeout": modality.timeout_s,
        "UseDicomTls": modality.use_tls,
        **{name: operation in modality.allowed for name, operation in PERMISSIONS.items()},
    }


def check_name(name: str) -> None:
    """Refuse a symbolic name that could not stand in a path. Raises BadField."""
    if not NAME.match(name) or len(name) > _LONGEST_NAME:
        raise BadField(
            "Only alphanumeric, dash characters and underscores are allowed in the names of modalities/peers, "
            f"but found: {name}"
        )


def parse_modality(name: str, value: object) -> Modality:
    """Return the modality that a JSON value describes. Raises BadField, OutOfRange."""
    match value:
        case [str(), str(), _] | [str(), str(), _, str()] | dict():
            return read_modality(name, value, _complain)
        case _:
            raise BadField


def _complain(field: str, kind: Kind, value: object) -> Exception:
    """What Orthanc says."""
    is_text = isinstance(value, str)
    match kind:
        case Kind.FLAG:
            return BadField(f"Boolean value expected in field: {field}")
        case Kind.SECONDS:
            kept = "Integer" if isinstance(value, bool) or not isinstance(value, int) else "Unsigned integer"
            return BadField(f"{kept} value expected in field: {field}")
        case Kind.PORT if isinstance(value, int) and not isinstance(value, bool):
            return OutOfRange(f"A TCP port number must be in range [1..{LAST_PORT}], but found: {value}")
        case Kind.MANUFACTURER if is_text:
            return OutOfRange(f'Unknown modality manufacturer: "{value}"')
        case Kind.RETRIEVE_METHOD if is_text:
            return _wrong_method(str(value))
        case Kind.MISSING if not field.startswith("Port"):
            return BadField(f"String value expected in field: {field.partition(',')[0]}")
        case Kind.PORT | Kind.MISSING:
            return BadField()
        case _:
            return BadField(f"String value expected in field: {field}")


def parse_retrieve_method(text: str) -> str:
    if text not in RETRIEVE_METHODS:
        raise _wrong_method(text)
    return text


def _wrong_method(text: str) -> OutOfRange:
    return OutOfRange(f'RetrieveMethod can be "C-MOVE", "C-GET" or "SystemDefault": {text}')


def routes(deps: Deps) -> Routes:
    return {
        "/modalities": Modalities(deps),
        ONE_MODALITY: OneModality(deps),
        f"{ONE_MODALITY}/configuration": ModalityConfiguration(deps),
    }
