"""`servers`: the DICOMweb servers that this server is a client of, as they are configured and as clients have changed them.

A server is described and shown as a peer is; messages are those of Orthanc 1.12.7 with version 1.20 of its plugin. What is secret is shown nowhere.
"""

import logging
from typing import Any, Final

import falcon

from actors.services.remote.dicomweb_servers import HAS_DELETE, can
from actors.wire.http.peer_description import BadPeer
from api.dicomweb.handlers import Handlers
from api.errors import BadField, OutOfRange
from api.rest import fields
from api.rest.deps import Deps
from api.rest.kept_secrets import parse_keeping
from api.rest.peers import render_peer
from api.rest.serving.auth import correlation_of
from api.rest.serving.replies import send_empty_object, send_json

log = logging.getLogger(__name__)

ONE_SERVER: Final = "servers/{name}"
LONGEST_NAME_BYTES: Final = 200  # what a key of the index holds with ease; Orthanc has no limit
_OPERATIONS: Final = ("get", "retrieve", "stow", "wado", "qido")


class Servers:
    """All of them, and each."""

    def __init__(self, deps: Deps) -> None:
        self._servers = deps.dicomweb_servers

    def list(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Names, or with `expand`, whatever its value, everything."""
        known = self._servers.list()
        shown: Any = [server.name for server in known]
        if req.has_param("expand"):
            shown = {server.name: render_peer(server) for server in known}
        send_json(req, resp, shown)

    def show(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """What can be asked of it."""
        deletes = can(self._servers.get(name), HAS_DELETE)
        send_json(req, resp, [*_OPERATIONS, *(("delete",) if deletes else ())])

    def put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        description = fields.read_json(req)
        if description is fields.NOT_JSON:
            raise BadField(NO_JSON)
        try:
            server = parse_keeping(name, description, self._servers.find(name))
        except BadPeer as exc:
            raise BadField(*([exc.told] if exc.told else [])) from exc
        if len(name.encode()) > LONGEST_NAME_BYTES:
            raise BadField(f"The name of a DICOMweb server may have {LONGEST_NAME_BYTES} bytes")
        if server.pkcs11:
            log.warning("DICOMweb server %s: Pkcs11 is not honoured: this server does not read smart cards", name)
        self._servers.put(server, correlation_of(req))
        send_empty_object(resp)

    def remove(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if not self._servers.remove(name, correlation_of(req)):
            raise OutOfRange(f"Unknown DICOMweb server: {name}")
        send_empty_object(resp)


NO_JSON: Final = "A JSON file was expected"


def handlers(deps: Deps) -> Handlers:
    servers = Servers(deps)
    return {
        "servers": {"GET": servers.list},
        ONE_SERVER: {"GET": servers.show, "PUT": servers.put, "DELETE": servers.remove},
    }
