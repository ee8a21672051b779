"""Requests to remotes that HTTP reaches, peers and DICOMweb servers, each with its address, its credentials and our certificate for it."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from actors.wire.errors import RefusedByHttp, RemoteFailed, Trouble
from actors.wire.http.client import HttpFailed, OpenAnswer, UrllibClient
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.interruption import Interruption

NO_FILE: Final = 13  # Orthanc's number

Got = TypeVar("Got")


class HttpRemotes:
    """Remotes of a kind; `what` is the word for one. Thread-safe. Connections are opened when they are needed."""

    def __init__(self, settings: HttpClientSettings, what: str, *, most_bytes: int = 0) -> None:
        """`most_bytes` has an answer that is read at once; 0: no limit."""
        self._settings = settings
        self._what = what
        self._most_bytes = most_bytes
        self._clients: dict[tuple[Any, ...], UrllibClient] = {}  # by our certificate
        self._lock = threading.Lock()

    def ask(
        self,
        remote: Peer,
        method: str,
        path: str,
        interruption: Interruption,
        body: bytes | memoryview = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the body of an answer. Raises RemoteFailed, also for a status that is no success; Interrupted."""
        client, sent = self._client(remote), merged(remote.headers, headers or {})
        with self.failing(remote, interruption):
            answer = interruptibly(
                interruption,
                lambda: client(method, remote.url + path, body, sent, remote.credentials, remote.timeout_s),
            )
        self._check(remote, answer.status)
        return answer.body

    @contextmanager
    def open(
        self,
        remote: Peer,
        method: str,
        path: str,
        interruption: Interruption,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        *,
        accepts: frozenset[int] = frozenset(),
    ) -> Iterator[OpenAnswer]:
        """Have an answer, to be read within the block; a status that is no success is an error unless it is one of `accepts`.

        Raises RemoteFailed, also where the body breaks off; Interrupted.
        """
        client, sent = self._client(remote), merged(remote.headers, headers or {})
        with self.failing(remote, interruption):
            opened = interruptibly(
                interruption,
                lambda: client.open(method, remote.url + path, body, sent, remote.credentials, remote.timeout_s),
                OpenAnswer.close,
            )
            with opened, interruption.watch(opened.hang_up):
                if opened.status not in accepts:
                    self._check(remote, opened.status)
                yield opened

    @contextmanager
    def failing(self, remote: Peer, interruption: Interruption) -> Iterator[None]:
        """Within the block, an answer that breaks off is RemoteFailed, and Interrupted where we have broken it off."""
        try:
            yield
        except HttpFailed as exc:
            interruption.check()  # whose connection was broken by us
            raise RemoteFailed(
                f"{self._what} {remote.name} gives no answer: {exc}", trouble=Trouble.UNREACHABLE
            ) from exc

    def _check(self, remote: Peer, status: int) -> None:
        if not 200 <= status < 300:
            raise RefusedByHttp(f"{self._what} {remote.name}", status)

    def _client(self, remote: Peer) -> UrllibClient:
        key = (remote.certificate, remote.private_key, remote.private_key_password)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                check_certificate(remote)
                try:
                    client = UrllibClient(
                        self._settings, remote if remote.certificate else None, most_bytes=self._most_bytes
                    )
                except OSError as exc:  # of a certificate that is none, too
                    raise RemoteFailed(f"{self._what} {remote.name}: our certificate for it cannot be read") from exc
                self._clients[key] = client
            return client

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def merged(*headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers together; those that come later replace those of the same name, in whatever case."""
    named = {name.lower(): (name, value) for some in headers for name, value in some.items()}
    return dict(named.values())


def check_certificate(remote: Peer) -> None:
    """Raise RemoteFailed if a file of our certificate for a remote is not there."""
    for kind, file in (("certificate", remote.certificate), ("key", remote.private_key)):
        if file is not None and not _is_readable(file):
            raise RemoteFailed(f"Cannot open {kind} file: {file}", code=NO_FILE, http_status=404)


def _is_readable(file: Path) -> bool:
    try:
        with file.open("rb"):
            return True
    except OSError:
        return False


def interruptibly(
    interruption: Interruption, request: Callable[[], Got], discard: Callable[[Got], object] = lambda _: None
) -> Got:
    """Make a request in a thread that is left to itself once it is not wanted any more: the client's sockets cannot be hung up.

    `discard` closes an answer that nobody gets. Raises Interrupted, and what the request raises.
    """
    answers: list[Got] = []
    errors: list[BaseException] = []  # whatever they are: without one an instance counts as sent, and may be deleted
    over = threading.Event()

    def work() -> None:
        try:
            answer = request()
            answers.append(answer)
            if interruption.is_set:  # the caller may be gone
                discard(answer)
        except BaseException as exc:  # noqa: BLE001 # it is raised where the request is waited for
            errors.append(exc)
        finally:
            over.set()

    threading.Thread(target=work, name="peer", daemon=True).start()
    with interruption.watch(over.set):
        over.wait()
    if interruption.is_set:
        for answer in answers:
            discard(answer)
    interruption.check()
    if errors:
        raise errors[0]
    return answers[0]
