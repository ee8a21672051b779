"""The HTTP client against a server of the test's own."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.wire.http.client import FORM, REDIRECTS, HttpFailed, UrllibClient
from actors.wire.http.settings import HttpClientSettings
from events.errors import BadConfiguration
from tests.ports import free_port
from tools.configuration.trial import try_out

BINARY = bytes(range(256)) * 20_000  # 5 MB


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        location = None
        status, content = 200, body or BINARY[:256]
        if self.path.startswith("/redirect"):
            status, location = 302, self.path.partition("?")[2] or "/target"
        elif self.path == "/circle":
            status, location = 302, "/circle"
        elif self.path == "/missing":
            status, content = 404, b"no"
        elif self.path == "/silence":
            self.server.may_end.wait(20)  # type: ignore[attr-defined]
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  # the standard library's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Service:
    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.seen = []  # type: ignore[attr-defined]
        self._server.may_end = threading.Event()  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def seen(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        return self._server.seen  # type: ignore[attr-defined, no-any-return]

    def stop(self) -> None:
        self._server.may_end.set()  # type: ignore[attr-defined]
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    started = Service()
    yield started
    started.stop()


@pytest.fixture
def client() -> Iterator[UrllibClient]:
    made = UrllibClient(HttpClientSettings(timeout_s=20))
    yield made
    made.close()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bodies_pass_unharmed(client: UrllibClient, service: Service, method: str) -> None:
    answer = client(method, service.url, BINARY, {})
    assert answer.status == 200
    assert answer.body == BINARY
    ((seen_method, _, headers, body),) = service.seen
    assert seen_method == method
    assert body == BINARY
    assert headers["Content-Type"] == FORM


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_the_others_have_none(client: UrllibClient, service: Service, method: str) -> None:
    assert client(method, service.url, b"ignored", {}).body == BINARY[:256]
    assert service.seen[0][3] == b""


def test_headers_are_sent_and_credentials_become_one(client: UrllibClient, service: Service) -> None:
    client("POST", service.url, b"x", {"content-type": "image/png", "X-Own": "1"}, ("jos\u00e9", "pa:ss"))
    headers = {name.lower(): value for name, value in service.seen[0][2].items()}
    assert headers["content-type"] == "image/png"
    assert headers["x-own"] == "1"
    scheme, _, encoded = headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded) == "jos\u00e9:pa:ss".encode()


def test_an_error_of_the_server_is_an_answer(client: UrllibClient, service: Service) -> None:
    answer = client("GET", service.url + "/missing", b"", {})
    assert (answer.status, answer.body) == (404, b"no")


def test_redirects_are_followed_but_not_for_ever(client: UrllibClient, service: Service) -> None:
    assert client("GET", service.url + "/redirect", b"", {}).status == 200
    assert [path for _, path, _, _ in service.seen] == ["/redirect", "/target"]
    assert client("GET", service.url + "/circle", b"", {}).status == 302
    assert len(service.seen) == 2 + REDIRECTS + 1


def test_another_server_is_told_no_secrets(client: UrllibClient, service: Service) -> None:
    secret = {"X-Token": "s3cret", "Authorization": "Bearer s3cret", "Accept": "a/b"}
    other = Service()
    try:
        assert (
            client("GET", f"{service.url}/redirect?{other.url}/target", b"", secret, ("user", "s3cret")).status == 200
        )
        assert client("GET", f"{service.url}/redirect?{service.url}/target", b"", secret).status == 200
        ((_, path, headers, _),) = other.seen
    finally:
        other.stop()
    assert (path, headers["Accept"]) == ("/target", "a/b")
    assert "s3cret" not in str(headers)
    assert [headers["X-Token"] for _, _, headers, _ in service.seen] == ["s3cret"] * 3  # itself is told as before


def test_who_does_not_answer_is_not_waited_for(client: UrllibClient, service: Service) -> None:
    with pytest.raises(HttpFailed):
        client("GET", service.url + "/silence", b"", {}, timeout_s=0.2)
    assert len(service.seen) == 1  # and is not asked again


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense.invalid", "ftp://127.0.0.1/", "", "http://[/"])
def test_nobody_there_is_a_failure(client: UrllibClient, url: str) -> None:
    with pytest.raises(HttpFailed):
        client("GET", url, b"", {})


def test_a_failure_says_why_and_no_password(client: UrllibClient) -> None:
    with pytest.raises(HttpFailed, match=r"^Connection refused$"):
        client("GET", f"http://user:secret@127.0.0.1:{free_port()}/", b"", {})
    with pytest.raises(HttpFailed, match=r"^Name or service not known$|^Temporary failure in name resolution$"):
        client("GET", "http://user:secret@nonsense.invalid/", b"", {})
    with pytest.raises(HttpFailed) as failure:
        client("GET", "http://user:secret@[/", b"", {})
    assert "secret" not in str(failure.value)


def test_an_address_needs_no_scheme(client: UrllibClient, service: Service) -> None:
    assert client("GET", service.url.removeprefix("http://"), b"", {}).status == 200


def test_a_header_that_cannot_be_sent_is_a_failure(client: UrllibClient, service: Service) -> None:
    with pytest.raises(HttpFailed):
        client("GET", service.url, b"", {"X-Own": "a\r\nb: c"})
    with pytest.raises(HttpFailed):
        client("GET", service.url, b"", {"X-Own": "\u20ac"})
    assert service.seen == []


def test_a_proxy_is_asked(service: Service) -> None:
    address = service.url.replace("http://", "http://user:word@")
    client = UrllibClient(HttpClientSettings(proxy=address))
    assert client("GET", "http://elsewhere.invalid/path", b"", {}).status == 200
    ((_, path, headers, _),) = service.seen
    assert path == "http://elsewhere.invalid/path"
    assert base64.b64decode(headers["proxy-authorization"].split()[1]) == b"user:word"
    client.close()


def test_settings_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("no certificate")
    for settings in (
        HttpClientSettings(ca_certificates=nonsense),
        HttpClientSettings(ca_certificates=tmp_path / "missing.pem"),
        HttpClientSettings(proxy="not an address"),
    ):
        with pytest.raises(BadConfiguration):
            try_out(None, None, settings)


@pytest.mark.parametrize("path", ["/", "/redirect", "/missing"])
def test_an_answer_beyond_what_is_allowed_is_none(service: Service, path: str) -> None:
    client = UrllibClient(HttpClientSettings(timeout_s=20), most_bytes=256)
    assert len(client("POST", service.url + path, BINARY[:256], {}).body) <= 256
    with pytest.raises(HttpFailed, match="the answer has more than 100 bytes"):
        UrllibClient(HttpClientSettings(timeout_s=20), most_bytes=100)("POST", service.url + "/", BINARY, {})
    client.close()


@pytest.mark.parametrize("is_verbose", [True, False])
def test_http_verbose_logs_each_request_without_secrets(
    service: Service, caplog: pytest.LogCaptureFixture, is_verbose: bool
) -> None:
    client = UrllibClient(HttpClientSettings(timeout_s=5.0, verbose=is_verbose))
    address = service.url.partition("://")[2]
    client("GET", f"http://alice:secret@{address}/path?PatientName=Doe", b"", {}, ("bob", "hidden"))
    with pytest.raises(HttpFailed):
        client("GET", "http://127.0.0.1:9/none", b"", {})
    client.close()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2 * is_verbose
    if is_verbose:
        assert lines[0].startswith(f"http-client GET http://{address}/path: 200 after ")
        assert "Connection refused" in lines[1]
    assert not any(word in line for line in lines for word in ("alice", "secret", "Doe", "bob", "hidden"))
