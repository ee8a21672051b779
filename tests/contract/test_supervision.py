"""What an operator may rely on: how the processes of a server start, stop, are replaced and end together."""

import contextlib
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import boot
from store.blobs.store import BlobStore
from tests.fault.checks import check_archive, check_bytes, files_of
from tests.fault.instances import Instance
from tests.fault.raw_association import ABORT, RawAssociation
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import (
    AET,
    CORE,
    READY_LINE,
    SUPERVISOR,
    TWO_OF_EACH,
    ServerUnderTest,
    kill,
    server_in,
    wait_for,
)
from tools.server.archive import open_archive
from tools.server.serve import RESTARTS_PER_WINDOW
from tools.server.signals import STOP_SIGNAL, Ending

ONE_OF_EACH = {SUPERVISOR, CORE, "gateway-1", "worker-1"}
EVERYONE = ONE_OF_EACH | {"gateway-2", "worker-2"}
CORE_DIED = 70
SPILLED = 2_000_000  # bytes of pixels: such an instance goes to its file as it comes


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path) as not_started:
        yield not_started


@pytest.fixture
def two_of_each(server: ServerUnderTest) -> None:
    server.options |= TWO_OF_EACH


def instance(number: int, pixel_bytes: int = 200) -> Instance:
    return Instance(number, "SUPERVISED", 1, 1, pixel_bytes)


def store(server: ServerUnderTest, *instances: Instance) -> None:
    with RestSender(server) as by_rest, StoreScu(server.dicom_port) as by_dicom:
        for one in instances:
            if one.number % 2:
                assert by_rest.store(one) == (200, "Success")
            else:
                assert by_dicom.store(one) == 0


def signal_all(server: ServerUnderTest, number: signal.Signals) -> None:
    """Signal every process at once, the supervisor last."""
    for pid in reversed(server.pids()):
        os.kill(pid, number)


def check_clean(server: ServerUnderTest) -> None:
    """Check that a stopped server left nothing for the next start to do."""
    assert "Traceback" not in server.log
    environment, rows = open_archive(server.index, BlobStore(server.storage))
    boot.mark_clean(environment)
    environment.close()
    assert rows == []
    assert all(path.stat().st_size for path in files_of(server)), "files kept ready are left"


# -- starting and stopping --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two_of_each")
def test_the_core_is_up_before_the_gateways_start(server: ServerUnderTest) -> None:
    server.launch()
    wait_for(server.gateways, "the first gateway")
    assert CORE in server.named()
    assert (server.index / "bridge.sock").exists()
    wait_for(lambda: READY_LINE in server.log, "the server to be ready")
    assert set(server.named()) == EVERYONE
    assert server.stop() == 0


ENDS = {
    "SIGTERM": signal.SIGTERM,
    "SIGINT": signal.SIGINT,
    "a service manager's SIGTERM": signal.SIGTERM,  # to every process
}


@pytest.mark.parametrize(
    "end",
    [
        "SIGTERM",
        *(pytest.param(end, marks=pytest.mark.nightly) for end in ("SIGINT", "a service manager's SIGTERM")),
    ],
)
def test_a_stop_is_clean(server: ServerUnderTest, end: str) -> None:
    server.start()
    sent = [instance(number) for number in range(1, 7)]
    store(server, *sent)
    if end.startswith("a "):
        signal_all(server, ENDS[end])
    else:
        server.signal(ENDS[end])
    assert server.wait() == 0, server.log
    check_clean(server)
    if end == "SIGTERM":
        server.start()
        assert "boot." not in server.log
        check_bytes(server, sent)
        check_archive(server)


def test_a_stop_during_the_start_is_clean(server: ServerUnderTest) -> None:
    server.launch()
    wait_for(lambda: CORE in server.named(), "the core to be started")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0, server.log
    check_clean(server)


@pytest.mark.parametrize(
    "is_for_all",
    [pytest.param(False, marks=pytest.mark.nightly), True],
    ids=["told the supervisor", "told every process"],
)
def test_a_stop_lets_requests_under_way_finish(server: ServerUnderTest, *, is_for_all: bool) -> None:
    server.start()
    posted, sent = instance(1, SPILLED), instance(2, SPILLED)
    with (
        RawAssociation(server.dicom_port) as idle_association,
        socket.create_connection(("127.0.0.1", server.http_port), 20) as upload,
        StoreScu(server.dicom_port) as association,
    ):
        assert idle_association.associate(AET) is not None
        body = posted.file()
        upload.sendall(b"POST /instances HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
        upload.sendall(body[:-1])
        association.begin(sent)
        wait_for(lambda: sum(path.stat().st_size > 0 for path in files_of(server)) == 2, "both to be under way")
        if is_for_all:
            signal_all(server, signal.SIGTERM)
        else:
            server.signal(signal.SIGTERM)
        # What is idle is told at once, what is busy is waited for.
        answer = idle_association.read()
        assert answer is not None
        assert answer.kind == ABORT
        assert association.finish(sent) == 0
        upload.sendall(body[-1:])
        with contextlib.closing(http.client.HTTPResponse(upload)) as response:
            response.begin()
            assert response.status == 200
    assert server.wait() == 0, server.log
    check_clean(server)
    server.start()
    check_bytes(server, [posted, sent])


def test_a_stop_does_not_wait_for_ever(server: ServerUnderTest) -> None:
    server.start()
    with (
        StoreScu(server.dicom_port) as association,
        socket.create_connection(("127.0.0.1", server.http_port), 20) as upload,
    ):
        association.begin(instance(2, SPILLED))
        upload.sendall(b"POST /instances HTTP/1.1\r\nHost: test\r\nContent-Length: 3000000\r\n\r\n" + bytes(2_000_000))
        wait_for(lambda: sum(path.stat().st_size > 0 for path in files_of(server)) == 2, "both to be under way")
        server.signal(signal.SIGTERM)
        assert server.wait(60) == 0
        with pytest.raises(ConnectionError):
            association.finish(instance(2, SPILLED))
    server.start()
    assert check_archive(server) == set()


# -- signals and tools ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two_of_each")
def test_sigusr1_shows_the_stacks_of_every_process(server: ServerUnderTest) -> None:
    server.start()
    server.signal(signal.SIGUSR1)
    wait_for(
        lambda: all(place in server.log for place in ("_watch", "_run_core", "_run_gateway", "_run_worker")),
        "the stacks",
        10,
    )
    wait_for(lambda: server.log.count("_run_gateway") == 2, "the stacks of both gateways", 10)
    assert server.get("/statistics")["CountInstances"] == 0
    assert set(server.named()) == EVERYONE
    assert server.stop() == 0


def test_a_reset_restarts_everything_but_the_ports_and_a_shutdown_ends_it_cleanly(server: ServerUnderTest) -> None:
    server.start()
    store(server, instance(1), instance(2))
    server.request("PUT", "/tools/default-encoding", b"Utf8")
    before = server.named()
    answer = server.request("POST", "/tools/reset")
    assert (answer.status, answer.json) == (200, {})
    wait_for(lambda: before[CORE] not in server.pids(), "the core to stop")
    # Nobody accepts now, and nobody is turned away.
    assert len(server.get("/instances")) == 2
    store(server, instance(3), instance(4))
    wait_for(lambda: server.log.count(READY_LINE) == 2, "the second start")
    after = server.named()
    assert set(after) == ONE_OF_EACH
    assert after[SUPERVISOR] == before[SUPERVISOR]
    assert not {pid for name, pid in after.items() if name != SUPERVISOR} & set(before.values())
    assert server.request("GET", "/tools/default-encoding").body == b"Latin1", "what REST had set is forgotten"
    assert check_archive(server) == {instance(number).id for number in range(1, 5)}
    answer = server.request("POST", "/tools/shutdown")
    assert (answer.status, answer.json) == (200, {})
    assert server.wait() == 0, server.log
    check_clean(server)


def test_a_signal_is_heard_whatever_its_thread_is_doing() -> None:
    ending = Ending()
    before = signal.getsignal(STOP_SIGNAL)
    ending.listen_to(STOP_SIGNAL)
    signal_us = f"import os, sys\nwhile sys.stdin.buffer.read(1): os.kill({os.getpid()}, {STOP_SIGNAL.value})"
    try:
        with subprocess.Popen([sys.executable, "-c", signal_us], stdin=subprocess.PIPE, bufsize=0) as sender:
            assert sender.stdin is not None
            for _ in range(3000):
                sender.stdin.write(b"!")  # comes back while we are on our way into the wait
                assert ending.wait(20)
            sender.stdin.close()
    finally:
        ending.close()
        signal.signal(STOP_SIGNAL, before)


def test_a_terminal_that_hangs_up_costs_a_reset_and_its_control_c_is_a_clean_stop(server: ServerUnderTest) -> None:
    server.start()
    store(server, instance(1))
    signal_all(server, signal.SIGHUP)
    wait_for(lambda: server.log.count(READY_LINE) == 2, "the second start")
    check_bytes(server, [instance(1)])
    assert "boot.verify_tail" not in server.log
    signal_all(server, signal.SIGINT)
    assert server.wait() == 0, server.log
    check_clean(server)


def test_a_single_process_does_all_of_that_alone(server: ServerUnderTest) -> None:
    server.start("--single-process")
    assert len(server.pids()) == 1
    store(server, instance(1), instance(2))
    assert server.request("POST", "/tools/reset").status == 200
    wait_for(lambda: server.log.count(READY_LINE) == 2, "the second start")
    server.signal(signal.SIGUSR1)
    wait_for(lambda: "serve_in_one_process" in server.log, "its stacks", 10)
    assert check_archive(server) == {instance(1).id, instance(2).id}
    assert server.stop() == 0
    check_clean(server)


# -- death ------------------------------------------------------------------------------------------------------------


def test_the_death_of_the_core_ends_the_server(server: ServerUnderTest) -> None:
    server.start()
    store(server, instance(1))
    kill(server.named()[CORE])
    assert server.wait(20) == CORE_DIED
    assert "core-died" in server.log
    assert f"sinogram fsck --data {shlex.quote(str(server.index))}\n" in server.log
    assert "Traceback" not in server.log
    server.start()
    assert "boot.verify_tail" in server.log
    check_bytes(server, [instance(1)])


@pytest.mark.nightly
def test_the_death_of_the_supervisor_ends_the_server(server: ServerUnderTest) -> None:
    server.start()
    store(server, instance(1))
    kill(server.named()[SUPERVISOR])
    assert server.wait(20) == -signal.SIGKILL
    assert "Traceback" not in server.log
    server.start()
    check_bytes(server, [instance(1)])


@pytest.mark.nightly
def test_the_death_of_the_supervisor_during_the_start_leaves_nothing(server: ServerUnderTest) -> None:
    for count in (2, 2, 2, 3, 4):
        server.launch()
        wait_for(lambda: len(server.pids()) >= count, f"{count} processes")  # noqa: B023  # called at once
        kill(server.named()[SUPERVISOR])
        assert server.wait(20) == -signal.SIGKILL


@pytest.mark.usefixtures("two_of_each")
def test_a_gateway_that_dies_is_replaced_while_the_other_serves(server: ServerUnderTest) -> None:
    server.start()
    before = server.named()
    kill(before["gateway-1"])
    for number in range(1, 21):
        store(server, instance(number))
    replaced = wait_for(lambda: server.named().get("gateway-1"), "its successor")
    assert replaced != before["gateway-1"]
    assert {name: pid for name, pid in server.named().items() if name != "gateway-1"} == {
        name: pid for name, pid in before.items() if name != "gateway-1"
    }
    assert len(check_archive(server)) == 20
    assert server.stop() == 0


def test_gateways_that_die_again_and_again_end_the_server(server: ServerUnderTest) -> None:
    server.start()
    killed: set[int] = set()
    while len(killed) <= RESTARTS_PER_WINDOW:
        pid = wait_for(lambda: server.named().get("gateway-1"), "the gateway")
        if pid not in killed:
            kill(pid)
            killed.add(pid)
    assert server.wait(20) == CORE_DIED
    assert "too-many-restarts" in server.log
