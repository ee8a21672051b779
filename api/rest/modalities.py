"""`/modalities`: the remote modalities, as they are configured and as REST has changed them.

A modality is shown and taken as Orthanc 1.12.7 does, in both forms; so are its messages.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import falcon

from actors.services.remote.modality import MANUFACTURERS, OBSOLETE_MANUFACTURERS, RETRIEVE_METHODS, Modality, Operation
from api.errors import BadField, InexistentItem, OutOfRange
from api.rest import arguments, fields
from api.rest.deps import Deps, Routes
from api.rest.replies import send_json, send_text
from events.errors import NotFound

_NAME: Final = re.compile(r"[A-Za-z0-9_-]*\Z")
_LONGEST_NAME: Final = 200  # what a key of the index holds with ease; Orthanc has no limit
_LAST_PORT: Final = 65534  # so Orthanc
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}\Z")
_PERMISSIONS: Final = {f"Allow{operation.value}": operation for operation in Operation}
_COMMITMENT: Final = ("AllowNAction", "AllowEventReport")  # both are what AllowStorageCommitment says

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
        if self._modalities.get(name) is None:
            raise NotFound
        send_json(req, resp, list(OPERATIONS))

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        modality = parse_modality(name, fields.read_json(req))
        check_name(name)
        self._modalities.put(modality)
        send_text(resp)

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if not self._modalities.remove(name):
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
    modality = deps.modalities.get(name)
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
        **{name: operation in modality.allowed for name, operation in _PERMISSIONS.items()},
    }


def check_name(name: str) -> None:
    """Refuse a symbolic name that could not stand in a path. Raises BadField."""
    if not _NAME.match(name) or len(name) > _LONGEST_NAME:
        raise BadField(
            "Only alphanumeric, dash characters and underscores are allowed in the names of modalities/peers, "
            f"but found: {name}"
        )


def parse_modality(name: str, value: object) -> Modality:
    """Return the modality that a JSON value describes. Raises BadField, OutOfRange."""
    match value:
        case [str(aet), str(host), port]:
            return Modality(name=name, aet=aet, host=host, port=_port(port))
        case [str(aet), str(host), port, str(manufacturer)]:
            return Modality(name=name, aet=aet, host=host, port=_port(port), manufacturer=_manufacturer(manufacturer))
        case dict():
            return _parse_object(name, value)
        case _:
            raise BadField


def _parse_object(name: str, value: Mapping[str, Any]) -> Modality:
    return Modality(
        name=name,
        aet=fields.text(value, "AET"),
        host=fields.text(value, "Host"),
        port=_port(value.get("Port")),
        manufacturer=_manufacturer(fields.text(value, "Manufacturer", default="Generic")),
        allowed=_allowed(value),
        allow_transcoding=fields.flag(value, "AllowTranscoding", default=True),
        use_tls=fields.flag(value, "UseDicomTls", default=False),
        local_aet=fields.text(value, "LocalAet", default=""),
        timeout_s=fields.whole(value, "Timeout", default=0),
        retrieve_method=parse_retrieve_method(fields.text(value, "RetrieveMethod", default="SystemDefault")),
    )


def _allowed(value: Mapping[str, Any]) -> frozenset[Operation]:
    flags = {name: fields.flag(value, name, default=True) for name in _PERMISSIONS}
    if "AllowStorageCommitment" in value:
        flags |= dict.fromkeys(_COMMITMENT, fields.flag(value, "AllowStorageCommitment", default=True))
    return frozenset(_PERMISSIONS[name] for name, is_allowed in flags.items() if is_allowed)


def parse_retrieve_method(text: str) -> str:
    if text not in RETRIEVE_METHODS:
        raise OutOfRange(f'RetrieveMethod can be "C-MOVE", "C-GET" or "SystemDefault": {text}')
    return text


def _port(value: object) -> int:
    if isinstance(value, str) and _WHOLE.match(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadField
    if not 1 <= value <= _LAST_PORT:
        raise OutOfRange(f"A TCP port number must be in range [1..{_LAST_PORT}], but found: {value}")
    return value


def _manufacturer(text: str) -> str:
    known = OBSOLETE_MANUFACTURERS.get(text, text)
    if known not in MANUFACTURERS:
        raise OutOfRange(f'Unknown modality manufacturer: "{text}"')
    return known


def routes(deps: Deps) -> Routes:
    return {
        "/modalities": Modalities(deps),
        ONE_MODALITY: OneModality(deps),
        f"{ONE_MODALITY}/configuration": ModalityConfiguration(deps),
    }
