"""Requests to the peers of `OrthancPeers`, each with its address, its credentials and our certificate for it."""

import json
import threading
from collections.abc import Sequence
from typing import Final

from actors.wire.errors import RemoteFailed, Trouble
from actors.wire.http.client import Answer, HttpFailed, UrllibClient
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings

UNKNOWN_PEER: Final = 7  # Orthanc's number
_STORED: Final = frozenset({"Success", "AlreadyStored"})
_LATER: Final = frozenset({408, 425, 429, 502, 503, 504, 507})  # RFC 9110, 6585 and 4918: may pass by itself


class Peers:
    """Thread-safe; one per process. Connections are opened when they are needed."""

    def __init__(self, configured: Sequence[Peer], settings: HttpClientSettings) -> None:
        self._configured = {peer.name: peer for peer in configured}
        self._settings = settings
        self._clients: dict[str, UrllibClient] = {}  # of peers that know us by certificate, and "" for all others
        self._lock = threading.Lock()

    def get(self, name: str) -> Peer:
        """Return a peer. Raises RemoteFailed if there is none of this name."""
        peer = self._configured.get(name)
        if peer is None:
            raise RemoteFailed(f"No peer with symbolic name: {name}", code=UNKNOWN_PEER)
        return peer

    def store(self, peer: Peer, file: bytes | memoryview) -> None:
        """Send a DICOM file, and wait for it to be stored. Raises RemoteFailed, also if the peer's filter does not want it."""
        answer = self._post(peer, "instances", file, "application/dicom")
        if not 200 <= answer.status < 300:
            trouble = Trouble.BUSY if answer.status in _LATER else Trouble.FINAL
            raise RemoteFailed(f"Peer {peer.name} has answered with HTTP status {answer.status}", trouble=trouble)
        if _status_of(answer.body) not in _STORED:  # its filter, or no Orthanc: a page that asks for a password, say
            raise RemoteFailed(f"Peer {peer.name} does not say that the instance is stored")

    def _post(self, peer: Peer, path: str, body: bytes | memoryview, media_type: str) -> Answer:
        headers = {**peer.headers, "Content-Type": media_type}
        try:
            return self._client(peer)("POST", peer.url + path, body, headers, peer.credentials, peer.timeout_s)
        except HttpFailed as exc:
            raise RemoteFailed(f"Peer {peer.name} gives no answer: {exc}", trouble=Trouble.UNREACHABLE) from exc

    def _client(self, peer: Peer) -> UrllibClient:
        name = peer.name if peer.certificate is not None else ""
        with self._lock:
            client = self._clients.get(name)
            if client is None:
                try:
                    client = UrllibClient(self._settings, peer if name else None)
                except OSError as exc:  # of a certificate that is none, too
                    raise RemoteFailed(f"The certificate for peer {peer.name} cannot be read") from exc
                self._clients[name] = client
            return client

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def _status_of(answer: bytes) -> str:
    """Return the status in the answer to `POST /instances`, "" if it is something else."""
    try:
        values = json.loads(answer)
    except (ValueError, RecursionError):
        return ""
    status = values.get("Status") if isinstance(values, dict) else None
    return status if isinstance(status, str) else ""
