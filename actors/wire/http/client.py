"""HTTP requests to other servers: to peers, and what scripts ask for (HttpGet() and its like).

Connections are kept for a while and used again. Redirects are followed, as Orthanc does. A request that fails is not repeated:
whether it had an effect is not known.
"""

import contextlib
import logging
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning
from urllib3.util import Retry, Timeout, make_headers, parse_url

from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings

logger = logging.getLogger(__name__)

REDIRECTS: Final = 10
CONNECTIONS: Final = 8  # kept per server
PART_BYTES: Final = 1 << 18  # of an answer, read at a time where it is limited
FORM: Final = "application/x-www-form-urlencoded"  # of a body that names no type, as Orthanc has it
# What another server is told after a redirect; other headers may hold secrets, such as tokens for the first one.
_TOLD_TO_OTHERS: Final = frozenset({"accept", "accept-encoding", "content-length", "content-type", "user-agent"})
_RETRIES: Final = Retry(connect=0, read=0, other=0, status=0, redirect=REDIRECTS, raise_on_redirect=False)


class HttpFailed(Exception):  # named for those who catch it
    """There was no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: bytes


class OpenAnswer:
    """An answer whose body is still to be read; a context manager. Its connection is used again if the body was read to its end."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # whatever the case of a name
        self._line: socket.socket | None = None  # ours, so that it is no other connection's once this one is closed
        with contextlib.suppress(OSError, ValueError, HTTPError):  # of a body that is there already
            self._line = socket.socket(fileno=os.dup(response.fileno()))

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes, still in its `Content-Encoding`. Raises HttpFailed, also where it is cut short."""
        try:
            while piece := self._response.read1(PART_BYTES, decode_content=False):  # what is there: none waits for more
                yield piece
        except (HTTPError, OSError, ValueError) as exc:
            raise HttpFailed(_reason(exc)) from exc

    def hang_up(self) -> None:
        """Break the connection, from any thread: who reads gets an error."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


Got = TypeVar("Got", Answer, OpenAnswer)


class UrllibClient:
    """Thread-safe."""

    def __init__(self, settings: HttpClientSettings, peer: Peer | None = None, *, most_bytes: int = 0) -> None:
        """Open nothing yet. `peer` is asked with the certificate for it, if there is one. `most_bytes` of an answer; 0: no limit.

        Raises OSError, for certificates that cannot be read, and ValueError, for a proxy that is no address.
        """
        self._timeout_s = settings.timeout_s
        self._most_bytes = most_bytes
        self._verbose = settings.verbose
        context = _context(settings, peer)
        if settings.proxy:
            if "://" not in settings.proxy:
                raise ValueError("a proxy without a scheme")
            credentials = parse_url(settings.proxy).auth
            headers = make_headers(proxy_basic_auth=credentials) if credentials else None
            self._pool: urllib3.PoolManager = urllib3.ProxyManager(
                settings.proxy, proxy_headers=headers, ssl_context=context, maxsize=CONNECTIONS
            )
        else:
            self._pool = urllib3.PoolManager(ssl_context=context, maxsize=CONNECTIONS)

    def __call__(
        self,
        method: str,
        url: str,
        body: bytes | memoryview,
        headers: Mapping[str, str],
        credentials: tuple[str, str] | None = None,
        timeout_s: float = 0.0,
    ) -> Answer:
        """Make a request and read the whole answer. `timeout_s` 0: that of the settings. Raises HttpFailed."""
        return self._told(
            method, url, lambda: self._read(self._request(method, url, body, headers, credentials, timeout_s))
        )

    def open(
        self,
        method: str,
        url: str,
        body: bytes | memoryview | Iterable[bytes],
        headers: Mapping[str, str],
        credentials: tuple[str, str] | None = None,
        timeout_s: float = 0.0,
    ) -> OpenAnswer:
        """Make a request and read the head of its answer. Raises HttpFailed.

        A body that is iterated over may be so again, after a redirect; without a `Content-Length` it is sent in chunks.
        """
        return self._told(
            method, url, lambda: OpenAnswer(self._request(method, url, body, headers, credentials, timeout_s))
        )

    def _told(self, method: str, url: str, request: Callable[[], Got]) -> Got:
        """Make a request, and log what came of it if that is wanted. Raises HttpFailed."""
        began_s = time.monotonic()
        try:
            answer = request()
        except (HTTPError, ValueError, OSError) as exc:  # ValueError: a header that cannot be sent
            failed = HttpFailed(_reason(exc))
            self._tell(method, url, str(failed), began_s)
            raise failed from exc
        except HttpFailed as exc:
            self._tell(method, url, str(exc), began_s)
            raise
        self._tell(method, url, str(answer.status), began_s)
        return answer

    def _tell(self, method: str, url: str, outcome: str, began_s: float) -> None:
        if self._verbose:
            took_ms = (time.monotonic() - began_s) * 1000
            logger.warning("http-client %s %s: %s after %d ms", method, _shown(url), outcome, took_ms)

    def _request(
        self,
        method: str,
        url: str,
        body: bytes | memoryview | Iterable[bytes],
        headers: Mapping[str, str],
        credentials: tuple[str, str] | None,
        timeout_s: float,
    ) -> urllib3.BaseHTTPResponse:
        limit_s = timeout_s or self._timeout_s or None
        sent = _headers(method, headers, credentials)
        return self._pool.request(
            method,
            url if "://" in url else f"http://{url}",  # as curl has it, and so Orthanc
            body=body if method in {"POST", "PUT"} else None,  # type: ignore[arg-type]  # buffers pass as they are
            headers=sent,
            timeout=Timeout(connect=limit_s, read=limit_s),
            retries=_RETRIES.new(remove_headers_on_redirect={name.lower() for name in sent} - _TOLD_TO_OTHERS),
            preload_content=False,
        )

    def _read(self, response: urllib3.BaseHTTPResponse) -> Answer:
        if not self._most_bytes:
            return Answer(status=response.status, body=response.data)
        parts, left_bytes = [], self._most_bytes
        for part in response.stream(PART_BYTES):
            left_bytes -= len(part)
            if left_bytes < 0:
                response.close()
                raise HttpFailed(f"the answer has more than {self._most_bytes} bytes")
            parts.append(part)
        response.release_conn()
        return Answer(status=response.status, body=b"".join(parts))

    def close(self) -> None:
        self._pool.clear()


def _shown(url: str) -> str:
    """An address without credentials and query, which may name a patient."""
    try:
        parts = parse_url(url)
    except HTTPError:
        return "an address that is none"
    return f"{parts.scheme or 'http'}://{parts.netloc or ''}{parts.path or ''}"


def _headers(method: str, headers: Mapping[str, str], credentials: tuple[str, str] | None) -> dict[str, str]:
    sent = dict(headers)
    names = {name.lower() for name in sent}
    if method in {"POST", "PUT"} and "content-type" not in names:
        sent["Content-Type"] = FORM
    if credentials is not None and "authorization" not in names:
        user, password = (part.encode("utf-8", "replace").decode("latin-1") for part in credentials)
        sent |= make_headers(basic_auth=f"{user}:{password}")
    return sent


def _reason(exc: BaseException) -> str:
    """Say why, without the texts of urllib3: they may hold credentials of the address."""
    name = type(exc).__name__
    link: BaseException | None = exc
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        name = type(link).__name__ if isinstance(link, HTTPError) else name
        inner = getattr(link, "reason", None)
        link = inner if isinstance(inner, BaseException) else link.__cause__ or link.__context__
    return name


def _context(settings: HttpClientSettings, peer: Peer | None) -> ssl.SSLContext:
    context = ssl.create_default_context(
        cafile=None if settings.ca_certificates is None else str(settings.ca_certificates)
    )
    if not settings.verify_peers:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        urllib3.disable_warnings(InsecureRequestWarning)  # the configuration has asked for it
    if peer is not None and peer.certificate is not None:
        context.load_cert_chain(peer.certificate, peer.private_key, peer.private_key_password)
    return context
