"""Instances on their way to peers, by jobs of scripts: the peer is an HTTP server of the test's own."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.messages.job_states import Word
from actors.services.lua.chain import JOB_TYPE, Delete, Operation, SendToPeer, plan
from actors.services.remote.peer_client import PeerClient
from actors.wire.errors import RemoteFailed, Trouble
from actors.wire.http.client import UrllibClient
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.interruption import Interruption
from events.identifiers import Level, format_resource_id
from store.projections.job_rows import JobState
from tests.contract.certificates import make_certificates
from tests.contract.operations_stage import SUCCESS, Ended, Engine, working
from tests.contract.retrieve_stage import fill, study
from tests.dicom_bytes import MR, dataset, encode
from tools.server.core import Core

STORED = json.dumps({"ID": "x", "Status": "Success"}).encode()
WAIT_S = 40.0


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        server: Any = self.server
        server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        server.arrived.release()
        if len(server.seen) > server.answered_anyway:
            server.may_answer.wait(WAIT_S)
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()
        self.wfile.write(server.content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(status: int = 200, content: bytes = STORED, tls: ssl.SSLContext | None = None) -> Iterator[Any]:
    """A peer: `seen` holds path, headers and body of each request."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.seen, server.status, server.content = [], status, content
    server.answered_anyway = 0  # so many requests, whether or not it may answer
    server.arrived, server.may_answer = threading.Semaphore(0), threading.Event()
    server.may_answer.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()


def peer(server: Any, **values: Any) -> Peer:
    return Peer(name="peer", url=f"http://127.0.0.1:{server.server_port}/base/", **values)


def send(resource: str) -> Operation:
    return SendToPeer(resource=resource, peer="peer")


def ids(engine: Engine, level: Level = Level.INSTANCE) -> list[str]:
    with engine.core.views.snapshot() as snapshot:
        return [format_resource_id(resource) for resource in snapshot.list_ids(level)]


def run(engine: Engine, *operations: Operation) -> Ended:
    return engine.run(JOB_TYPE, plan(list(operations)), len(operations) + 1)


def test_files_are_posted_as_they_are_stored_and_deleted_then(archive: Core) -> None:
    large = encode(dataset(instance=3, SOPClassUID=MR, PixelData=bytes(3 << 20), BitsAllocated=8))
    files = [*study(instances=2), large]
    fill(archive, *files)
    with serving() as there:
        known = peer(there, username="jos\u00e9", password="pa:ss", headers={"Token": "t"})
        with working(archive, configured=[known]) as engine:
            (whole,) = ids(engine, Level.STUDY)
            assert run(engine, send(whole), Delete(resource=whole)) == SUCCESS
            assert ids(engine) == []
    assert sorted(body for _, _, body in there.seen) == sorted(files)
    path, headers, body = there.seen[0]
    assert (path, headers["token"], headers["content-type"]) == ("/base/instances", "t", "application/dicom")
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == "jos\u00e9:pa:ss".encode()
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("status", "content", "details"),
    [
        (401, b"", "Peer peer has answered with HTTP status 401"),
        (400, b"{}", "Peer peer has answered with HTTP status 400"),
        (200, b'{"Status": "FilteredOut"}', "Peer peer does not say that the instance is stored"),
        (200, b"<html>please log in</html>", "Peer peer does not say that the instance is stored"),
        (200, b"[]", "Peer peer does not say that the instance is stored"),
        (200, b'{"Status": ["Success"]}', "Peer peer does not say that the instance is stored"),
        (200, b"[" * 100_000, "Peer peer does not say that the instance is stored"),
    ],
)
def test_what_is_refused_is_neither_sent_again_nor_deleted(
    archive: Core, status: int, content: bytes, details: str
) -> None:
    fill(archive, *study())
    with serving(status, content) as there, working(archive, configured=[peer(there)]) as engine:
        (name,) = ids(engine)
        ended = run(engine, send(name), Delete(resource=name))
        assert ids(engine) == [name]
    assert len(there.seen) == 1
    assert (ended.state, ended.code) == (JobState.Failure, 9)
    assert ended.details == f"2 of 2 operations are not done; number 1, store-peer: {details}"


def test_what_was_not_sent_for_an_unknown_reason_is_not_deleted(archive: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(UrllibClient, "__call__", fail)
    fill(archive, *study())
    with serving() as there, working(archive, configured=[peer(there)]) as engine:
        (name,) = ids(engine)
        ended = run(engine, send(name), Delete(resource=name))
        assert ids(engine) == [name]
    assert ended.state is JobState.Failure


def test_duplicates_are_fine(archive: Core) -> None:
    fill(archive, *study())
    with serving(200, b'{"Status": "AlreadyStored"}') as there, working(archive, configured=[peer(there)]) as engine:
        assert run(engine, send(ids(engine)[0])) == SUCCESS


def test_what_may_pass() -> None:
    with serving(503) as there:
        client, known = PeerClient(HttpClientSettings()), peer(there)
        with pytest.raises(RemoteFailed) as busy:
            client.store(known, b"x", Interruption())
    with pytest.raises(RemoteFailed) as away:
        client.store(known, b"x", Interruption())
    client.close()
    assert (busy.value.trouble, away.value.trouble) == (Trouble.BUSY, Trouble.UNREACHABLE)
    assert "127.0.0.1" not in away.value.details


def test_a_peer_that_is_not_configured_any_more(archive: Core) -> None:
    fill(archive, *study())
    with working(archive) as engine:
        assert run(engine, send(ids(engine)[0])).code == 17


def test_a_certificate_that_cannot_be_read(tmp_path: Path) -> None:
    client = PeerClient(HttpClientSettings())
    absent, wrong = tmp_path / "none.pem", tmp_path / "wrong.pem"
    with pytest.raises(RemoteFailed, match=f"Cannot open certificate file: {absent}"):
        client.store(Peer(name="a", url="https://x/", certificate=absent), b"x", Interruption())
    wrong.write_text("no certificate")
    with pytest.raises(RemoteFailed, match="Peer a: our certificate for it cannot be read"):
        client.store(Peer(name="a", url="https://x/", certificate=wrong), b"x", Interruption())


def test_a_peer_is_shown_our_certificate(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    strict = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(made.trusted))
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.maximum_version = ssl.TLSVersion.TLSv1_2  # the refusal comes with the handshake
    strict.load_cert_chain(made.server.certificate, made.server.key)
    with serving(tls=strict) as there:
        url = f"https://127.0.0.1:{there.server_port}/"
        known = Peer(name="known", url=url, certificate=made.client.certificate, private_key=made.client.key)
        client = PeerClient(HttpClientSettings(verify_peers=False))
        client.store(known, b"x", Interruption())
        with pytest.raises(RemoteFailed, match="Peer unknown gives no answer"):
            client.store(Peer(name="unknown", url=url), b"x", Interruption())
        client.close()
    assert [body for _, _, body in there.seen] == [b"x"]


def test_a_job_does_not_wait_for_a_peer_once_it_is_cancelled(archive: Core) -> None:
    fill(archive, *study())
    with serving() as there, working(archive, configured=[peer(there)]) as engine:
        there.may_answer.clear()
        ref, job = engine.jobs.submit(JOB_TYPE, plan([send(ids(engine)[0])]), steps=2, attempts=4)
        assert there.arrived.acquire(timeout=WAIT_S)
        engine.jobs.control(job, Word.CANCEL)
        assert run(engine, Delete(resource=ids(engine)[0])) == SUCCESS  # the slot is free, the peer has not answered
        assert engine.ended(ref).code == 37
