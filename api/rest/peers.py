"""`/peers`: the other servers with Orthanc's REST API, as they are configured and as REST has changed them.

A peer is shown and taken as Orthanc 1.12.7 does, in both forms; so are its messages. What is secret is shown nowhere.
"""

import logging
from typing import Any

import falcon

from actors.services.remote.asking import as_busy
from actors.wire.http.peer import Peer
from actors.wire.http.peer_description import BadPeer
from api.errors import BadField, InexistentFile, InexistentItem
from api.rest import arguments, fields
from api.rest.deps import Deps, Routes
from api.rest.kept_secrets import parse_keeping
from api.rest.modalities import check_name
from api.rest.received_file import received
from api.rest.serving.auth import correlation_of
from api.rest.serving.replies import JSON, send_json, send_text
from events.errors import NotFound

log = logging.getLogger(__name__)

ONE_PEER = "/peers/{name}"
OPERATIONS = ("configuration", "store", "store-straight", "system")


class PeerList:
    """`GET /peers`: names, or with `expand` everything."""

    def __init__(self, deps: Deps) -> None:
        self._peers = deps.peers

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        expand = arguments.boolean(req, "expand")
        known = self._peers.list()
        shown: Any = [peer.name for peer in known]
        if expand:
            shown = {peer.name: render_peer(peer) for peer in known}
        send_json(req, resp, shown)


class OnePeer:
    """`GET`, `PUT` and `DELETE` of a peer."""

    def __init__(self, deps: Deps) -> None:
        self._peers = deps.peers

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if self._peers.find(name) is None:
            raise NotFound
        send_json(req, resp, list(OPERATIONS))

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        description = fields.read_json(req)
        if description is fields.NOT_JSON:
            raise NotFound  # so Orthanc, without a word
        try:
            peer = parse_keeping(name, description, self._peers.find(name))
        except BadPeer as exc:
            raise BadField(*([exc.told] if exc.told else [])) from exc
        check_name(name)
        _check_files(peer)
        if peer.pkcs11:
            log.warning("peer %s: Pkcs11 is not honoured: this server does not read smart cards", name)
        self._peers.put(peer, correlation_of(req))
        send_text(resp)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if not self._peers.remove(name, correlation_of(req)):
            raise InexistentItem(f"Unknown Orthanc peer: {name}")
        send_text(resp)


class PeerConfiguration:
    """`GET /peers/{name}/configuration`."""

    def __init__(self, deps: Deps) -> None:
        self._peers = deps.peers

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        send_json(req, resp, render_peer(self._peers.get(name)))


class PeerSystem:
    """`GET /peers/{name}/system`: what the peer says of itself."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        peer = self._deps.peers.get(name)
        with as_busy():
            told = self._deps.peer_client().system(peer, self._deps.stopping)
        send_json(req, resp, told)
        if resp.content_type == JSON:
            resp.content_type = "application/json"  # as in Orthanc, which hands on what it got


class StoreStraight:
    """`POST /peers/{name}/store-straight`: the body is a DICOM file, which is sent at once and not stored."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps = self._deps
        peer = deps.peers.get(name)
        with received(deps, req) as (data, _), memoryview(data) as file, as_busy():
            told = deps.peer_client().store(peer, file, deps.stopping)
        send_json(req, resp, told)


def render_peer(peer: Peer) -> dict[str, Any]:
    """Return what `GET /peers/{id}/configuration` shows: of headers their names, of what is secret that it is there."""
    shown: dict[str, Any] = {
        "HttpHeaders": sorted(peer.headers),
        "Pkcs11": peer.pkcs11,
        "Timeout": peer.timeout_s,
        "Url": peer.url,
        **peer.properties,
    }
    if peer.username:
        shown |= {"Password": None, "Username": peer.username}
    if peer.certificate is not None:
        shown |= {
            "CertificateFile": str(peer.certificate),
            "CertificateKeyFile": None,
            "CertificateKeyPassword": None,
        }
    return shown


def _check_files(peer: Peer) -> None:
    """Raises InexistentFile."""
    for kind, file in (("certificate", peer.certificate), ("key", peer.private_key)):
        if file is not None and not file.is_file():
            raise InexistentFile(f"Cannot open {kind} file: {file}")


def routes(deps: Deps) -> Routes:
    return {
        "/peers": PeerList(deps),
        ONE_PEER: OnePeer(deps),
        f"{ONE_PEER}/configuration": PeerConfiguration(deps),
        f"{ONE_PEER}/store-straight": StoreStraight(deps),
        f"{ONE_PEER}/system": PeerSystem(deps),
    }
