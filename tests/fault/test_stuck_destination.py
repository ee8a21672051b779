"""A destination that accepts and never answers holds up nothing but its own job, and that one can be cancelled."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fault.instances import Instance
from tests.fault.receiver import receive
from tests.fault.servers import ServerUnderTest, server_in, wait_for

IMAGE = Instance(1, "STUCK", 1, 1, 200)
PATIENCE_S = 40.0  # for what the operator would call at once, on a busy machine
NO_LIMIT = 3600  # seconds: longer than any test


class SilentPeer:
    """Takes connections, reads what comes and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.met = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection:
            self.met.release()
            try:
                while connection.recv(1 << 16):
                    pass
            except OSError:
                pass
            self.left.release()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)


@contextmanager
def silent_peer() -> Iterator[SilentPeer]:
    peer = SilentPeer()
    try:
        yield peer
    finally:
        peer.close()


@contextmanager
def server_with(folder: Path, stuck: int, sink: int, **options: Any) -> Iterator[ServerUnderTest]:
    modalities = {"stuck": ["STUCK", "127.0.0.1", stuck], "sink": ["SINK", "127.0.0.1", sink]}
    with server_in(folder, DicomModalities=modalities, **options) as server:
        server.start()
        assert server.request("POST", "/instances", IMAGE.file()).status == 200
        yield server
        assert server.stop() == 0


def _send(server: ServerUnderTest, modality: str, more: str = '"Asynchronous": true') -> str:
    answer = server.request(
        "POST", f"/modalities/{modality}/store", f'{{"Resources": ["{IMAGE.id}"], {more}}}'.encode()
    )
    assert answer.status == 200, answer
    return str(answer.json["ID"])


def _state(server: ServerUnderTest, job: str) -> str:
    return str(server.get(f"/jobs/{job}")["State"])


def _send_beside(server: ServerUnderTest) -> None:
    job = _send(server, "sink")
    wait_for(lambda: _state(server, job) == "Success", "the job beside the stuck one")


def test_other_jobs_run_rest_answers_and_cancel_is_heard(tmp_path: Path) -> None:
    with (
        silent_peer() as stuck,
        receive() as sink,
        server_with(tmp_path, stuck.port, sink.port, DicomScuTimeout=NO_LIMIT, ConcurrentJobs=2) as server,
    ):
        held = _send(server, "stuck")
        assert stuck.met.acquire(timeout=PATIENCE_S)
        for _ in range(5):
            _send_beside(server)
        assert _state(server, held) == "Running"
        for path in ("/system", "/statistics", "/jobs?expand", f"/instances/{IMAGE.id}", "/changes"):
            assert server.request("GET", path).status == 200
        assert server.request("POST", f"/jobs/{held}/cancel").status == 200
        assert _state(server, held) == "Failure"
        assert stuck.left.acquire(timeout=PATIENCE_S), "the worker still waits for an answer"
        assert server.get(f"/jobs/{held}")["ErrorCode"] == 37  # "This job was canceled"


def test_both_slots_are_free_again_once_stuck_jobs_are_cancelled(tmp_path: Path) -> None:
    with (
        silent_peer() as stuck,
        receive() as sink,
        server_with(tmp_path, stuck.port, sink.port, DicomScuTimeout=NO_LIMIT, ConcurrentJobs=2) as server,
    ):
        held = [_send(server, "stuck") for _ in range(2)]
        for _ in held:
            assert stuck.met.acquire(timeout=PATIENCE_S)
        waiting = _send(server, "sink")
        assert _state(server, waiting) == "Pending"
        for job in held:
            assert server.request("POST", f"/jobs/{job}/cancel").status == 200
        wait_for(lambda: _state(server, waiting) == "Success", "the job that waited for a slot")


def test_the_time_limit_ends_a_synchronous_request_with_orthancs_error(tmp_path: Path) -> None:
    with silent_peer() as stuck, server_with(tmp_path, stuck.port, 1) as server:
        body = f'{{"Resources": ["{IMAGE.id}"], "Timeout": 1}}'.encode()
        answer = server.request("POST", "/modalities/stuck/store", body)
        assert (answer.status, answer.json["OrthancStatus"]) == (500, 9)


def test_a_job_in_the_background_is_tried_again_after_its_time_limit(tmp_path: Path) -> None:
    with silent_peer() as stuck, server_with(tmp_path, stuck.port, 1) as server:
        job = _send(server, "stuck", '"Asynchronous": true, "Timeout": 1')
        for _ in range(2):
            assert stuck.met.acquire(timeout=PATIENCE_S)
            wait_for(lambda: _state(server, job) == "Retry", "the job to wait for its next try")
        assert server.request("POST", f"/jobs/{job}/cancel").status == 200
        assert _state(server, job) == "Failure"


def test_a_destination_that_takes_the_association_and_then_nothing_is_no_different(tmp_path: Path) -> None:
    is_over = threading.Event()
    with receive(hold=is_over.wait) as stuck, receive() as sink:
        with server_with(tmp_path, stuck.port, sink.port, DicomScuTimeout=NO_LIMIT, ConcurrentJobs=2) as server:
            held = _send(server, "stuck")
            stuck.wait_for(1)
            _send_beside(server)
            started = time.monotonic()
            assert server.request("POST", f"/jobs/{held}/cancel").status == 200
            print(f"cancelled within {time.monotonic() - started:.3f} s")
            assert _state(server, held) == "Failure"
            _send_beside(server)
        is_over.set()


def test_a_stuck_job_can_be_paused_and_then_cancelled(tmp_path: Path) -> None:
    with silent_peer() as stuck, server_with(tmp_path, stuck.port, 1, DicomScuTimeout=NO_LIMIT) as server:
        job = _send(server, "stuck")
        assert stuck.met.acquire(timeout=PATIENCE_S)
        assert server.request("POST", f"/jobs/{job}/pause").status == 200
        assert _state(server, job) == "Paused"
        assert server.request("POST", f"/jobs/{job}/cancel").status == 200
        assert _state(server, job) == "Failure"
        assert stuck.left.acquire(timeout=PATIENCE_S)
