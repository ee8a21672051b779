"""Requests to peers, each with its address, its credentials and our certificate for it."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from actors.wire.errors import RemoteFailed, Trouble
from actors.wire.http.client import Answer, HttpFailed, UrllibClient
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.interruption import Interruption

MOST_ANSWER_BYTES: Final = 16 << 20  # what a peer answers is a JSON object, of some kilobytes
NO_FILE: Final = 13  # Orthanc's number
_STORED: Final = ("Success", "AlreadyStored")
_LATER: Final = frozenset({408, 425, 429, 502, 503, 504, 507})  # RFC 9110, 6585 and 4918: may pass by itself


class PeerClient:
    """Thread-safe; one per process. Connections are opened when they are needed."""

    def __init__(self, settings: HttpClientSettings) -> None:
        self._settings = settings
        self._clients: dict[tuple[Any, ...], UrllibClient] = {}  # by our certificate
        self._lock = threading.Lock()

    def store(
        self, peer: Peer, file: bytes | memoryview, interruption: Interruption, *, is_gzip: bool = False
    ) -> dict[str, Any]:
        """Send a DICOM file, and wait for it to be stored; returns the peer's answer.

        Raises RemoteFailed, also if the peer's filter does not want it; Interrupted.
        """
        headers = {"Content-Type": "application/dicom"} | ({"Content-Encoding": "gzip"} if is_gzip else {})
        answer = self._ask(peer, "POST", "instances", interruption, file, headers)
        if answer.get("Status") not in _STORED:  # its filter, or no Orthanc: a page that asks for a password, say
            raise RemoteFailed(f"Peer {peer.name} does not say that the instance is stored")
        return answer

    def system(self, peer: Peer, interruption: Interruption) -> dict[str, Any]:
        """Return what a peer says of itself, `GET /system`. Raises RemoteFailed, Interrupted."""
        answer = self._ask(peer, "GET", "system", interruption)
        if not answer:
            raise RemoteFailed(f"Peer {peer.name} does not say what it is")
        return answer

    def _ask(
        self,
        peer: Peer,
        method: str,
        path: str,
        interruption: Interruption,
        body: bytes | memoryview = b"",
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the JSON object of an answer, an empty one if it is something else."""
        client = self._client(peer)
        sent = {**peer.headers, **(headers or {})}
        try:
            answer: Answer = interruptibly(
                interruption,
                lambda: client(method, peer.url + path, body, sent, peer.credentials, peer.timeout_s),
            )
        except HttpFailed as exc:
            raise RemoteFailed(f"Peer {peer.name} gives no answer: {exc}", trouble=Trouble.UNREACHABLE) from exc
        if not 200 <= answer.status < 300:
            trouble = Trouble.BUSY if answer.status in _LATER else Trouble.FINAL
            raise RemoteFailed(f"Peer {peer.name} has answered with HTTP status {answer.status}", trouble=trouble)
        return _object(answer.body)

    def _client(self, peer: Peer) -> UrllibClient:
        key = (peer.certificate, peer.private_key, peer.private_key_password)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                check_certificate(peer)
                try:
                    client = UrllibClient(
                        self._settings, peer if peer.certificate else None, most_bytes=MOST_ANSWER_BYTES
                    )
                except OSError as exc:  # of a certificate that is none, too
                    raise RemoteFailed(f"The certificate for peer {peer.name} cannot be read") from exc
                self._clients[key] = client
            return client

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def check_certificate(peer: Peer) -> None:
    """Raise RemoteFailed if a file of our certificate for a peer is not there."""
    for kind, file in (("certificate", peer.certificate), ("key", peer.private_key)):
        if file is not None and not _is_readable(file):
            raise RemoteFailed(f"Cannot open {kind} file: {file}", code=NO_FILE, http_status=404)


def _is_readable(file: Path) -> bool:
    try:
        with file.open("rb"):
            return True
    except OSError:
        return False


def interruptibly(interruption: Interruption, request: Callable[[], Answer]) -> Answer:
    """Make a request in a thread that is left to itself once it is not wanted any more: the client's sockets cannot be hung up.

    Raises Interrupted, and what the request raises.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []  # whatever they are: without one an instance counts as sent, and may be deleted
    over = threading.Event()

    def work() -> None:
        try:
            answers.append(request())
        except BaseException as exc:  # noqa: BLE001 # it is raised where the request is waited for
            errors.append(exc)
        finally:
            over.set()

    threading.Thread(target=work, name="peer", daemon=True).start()
    with interruption.watch(over.set):
        over.wait()
    interruption.check()
    if errors:
        raise errors[0]
    return answers[0]


def _object(answer: bytes) -> dict[str, Any]:
    try:
        values = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
