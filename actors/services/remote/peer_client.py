"""Requests to peers: files on their way, and what a peer says of itself."""

import json
from typing import Any, Final

from actors.services.remote.http_remotes import HttpRemotes
from actors.wire.errors import RemoteFailed
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.interruption import Interruption

MOST_ANSWER_BYTES: Final = 16 << 20  # what a peer answers is a JSON object, of some kilobytes
_STORED: Final = ("Success", "AlreadyStored")


class PeerClient:
    """Thread-safe; one per process."""

    def __init__(self, settings: HttpClientSettings) -> None:
        self._remotes = HttpRemotes(settings, "Peer", most_bytes=MOST_ANSWER_BYTES)

    def store(
        self, peer: Peer, file: bytes | memoryview, interruption: Interruption, *, is_gzip: bool = False
    ) -> dict[str, Any]:
        """Send a DICOM file, and wait for it to be stored; returns the peer's answer.

        Raises RemoteFailed, also if the peer's filter does not want it; Interrupted.
        """
        headers = {"Content-Type": "application/dicom"} | ({"Content-Encoding": "gzip"} if is_gzip else {})
        answer = _object(self._remotes.ask(peer, "POST", "instances", interruption, file, headers))
        if answer.get("Status") not in _STORED:  # its filter, or no Orthanc: a page that asks for a password, say
            raise RemoteFailed(f"Peer {peer.name} does not say that the instance is stored")
        return answer

    def system(self, peer: Peer, interruption: Interruption) -> dict[str, Any]:
        """Return what a peer says of itself, `GET /system`. Raises RemoteFailed, Interrupted."""
        answer = _object(self._remotes.ask(peer, "GET", "system", interruption))
        if not answer:
            raise RemoteFailed(f"Peer {peer.name} does not say what it is")
        return answer

    def close(self) -> None:
        self._remotes.close()


def _object(answer: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer, an empty one if it is something else."""
    try:
        values = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
