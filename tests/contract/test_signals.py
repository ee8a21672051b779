"""Signals that nobody meant, and a dump of stacks, end no process of a server: whenever they come, and whatever standard error is."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.instances import Instance
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import CORE, READY_LINE, SUPERVISOR, ServerUnderTest, server_in, wait_for
from tools.server import serve
from tools.server.children import Child
from tools.server.process import READY, WORKING, Order
from tools.server.serve import Supervisor
from tools.server.signals import format_stacks
from tools.server.watchdog import Watchdog

KINDS = (SUPERVISOR, CORE, "gateway-1", "worker-1", "lua-filter", "lua-main")
HARMLESS = (
    signal.SIGUSR1,
    signal.SIGPIPE,
    signal.SIGWINCH,
    signal.SIGTTOU,
    signal.SIGALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGCHLD,
    signal.SIGURG,
    signal.SIGCONT,
)
DUMPS = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    folder = tmp_path_factory.mktemp("signals")
    script = folder / "script.lua"
    script.write_text("function ReceivedInstanceFilter() return true end\n")
    with server_in(folder, LuaScripts=[str(script)], GatewayProcesses=1) as started:
        started.start()
        yield started


def instance(number: int) -> Instance:
    return Instance(number, "SIGNALLED", 1, 1, 200)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_that_nobody_meant_ends_no_process(server: ServerUnderTest, kind: str) -> None:
    before = server.named()
    numbers = [*HARMLESS, *([signal.SIGUSR2] if kind == SUPERVISOR else [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])]
    shown = server.log.count("stacks of")
    for number in numbers:
        os.kill(before[kind], number)
    wait_for(lambda: server.log.count("stacks of") > shown, "the stacks")
    with RestSender(server) as sender:
        assert sender.store(instance(1))[0] == 200
    assert server.named() == before


def test_stacks_are_shown_again_and_again_while_instances_come_in(server: ServerUnderTest) -> None:
    before, stop, refused = server.named(), threading.Event(), []

    def send(first: int) -> None:
        with RestSender(server) as by_rest, StoreScu(server.dicom_port) as by_dicom:
            for number in range(first, first + 10_000):
                if stop.is_set():
                    return
                if by_rest.store(instance(2 * number)) != (200, "Success") or by_dicom.store(instance(2 * number + 1)):
                    refused.append(number)

    senders = [threading.Thread(target=send, args=(10_000 * (1 + number),)) for number in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(DUMPS):
        shown = server.log.count("stacks of the supervisor")
        server.signal(signal.SIGUSR1)
        server.signal(signal.SIGUSR1)  # twice at once
        wait_for(lambda shown=shown: server.log.count("stacks of the supervisor") > shown, "the stacks")  # type: ignore[misc]
    stop.set()
    for sender in senders:
        sender.join()
    assert refused == []
    assert server.named() == before


def test_signals_that_come_during_start_and_stop_change_nothing(tmp_path: Path) -> None:
    with server_in(tmp_path) as server:
        server.launch()
        wait_for(lambda: CORE in server.named(), "the first child")
        while READY_LINE not in server.log:
            for pid in server.pids():
                _send(pid, signal.SIGUSR1)
        assert "died" not in server.log, server.log
        server.signal(signal.SIGTERM)
        while len(pids := server.pids()) > 1:
            for pid in pids:
                _send(pid, signal.SIGUSR1)
        assert server.wait() == 0, server.log


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def test_a_standard_error_that_takes_nothing_holds_up_nobody(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    shell = 'exec "$@" 2>/proc/$PPID/fd/' + str(write_end)
    with server_in(tmp_path) as server:
        server.program = ("sh", "-c", shell, "sh", *server.program)
        server.start()
        os.set_blocking(write_end, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write_end, bytes(4096))
        for _ in range(3):
            server.signal(signal.SIGUSR1)
        with RestSender(server) as by_rest, StoreScu(server.dicom_port) as by_dicom:
            assert by_rest.store(instance(1)) == (200, "Success")
            assert by_dicom.store(instance(2)) == 0
        drain = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(read_end, 1 << 16), b"")])
        drain.start()
        assert server.stop() == 0
        os.close(write_end)
        drain.join()
        os.close(read_end)


def test_what_is_closed_of_the_standard_descriptors_is_nothing_of_ours(tmp_path: Path) -> None:
    """The index, opened as the next free descriptor, was standard error: stacks and log lines were written into it."""
    with server_in(tmp_path) as server:
        server.program = ("sh", "-c", 'exec "$@" 2>&- <&-', "sh", *server.program)
        server.start()
        for name, pid in server.named().items():
            for fd in (0, 2):
                assert Path(f"/proc/{pid}/fd/{fd}").readlink() == Path(os.devnull), f"{name} has {fd}"
            os.kill(pid, signal.SIGUSR1)
        with RestSender(server) as sender:
            assert sender.store(instance(1)) == (200, "Success")
        assert server.stop() == 0


def test_stacks_name_each_thread_and_where_it_is() -> None:
    going = threading.Event()
    waiter = threading.Thread(target=going.wait, name="the one that waits")
    waiter.start()
    try:
        shown = format_stacks("this test")
    finally:
        going.set()
        waiter.join()
    assert "the one that waits" in shown
    assert "Event.wait" in shown


# -- who does not come to serve ---------------------------------------------------------------------------------------


class Waiting(Supervisor):
    """One whose children are commands of the test's."""

    def __init__(self, child: Child) -> None:
        self._children, self._first = [child], child
        self._watchdog = Watchdog({})
        self._restarts = []
        self._signals = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.spawned: list[Order] = []

    def _spawn(self, order: Order) -> Child:
        self.spawned.append(order)
        self._signals.append(signal.SIGTERM)  # that is all
        return self._first


def _hanging() -> Child:
    ours, theirs = os.pipe()
    process = subprocess.Popen(["sleep", "600"], pass_fds=(theirs,))
    os.close(theirs)
    return Child(Order("worker", "worker-1", None), process, ours)


def test_one_that_was_started_again_and_hangs_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serve, "START_TIMEOUT_S", 0.05)
    child = _hanging()
    supervisor = Waiting(child)
    assert supervisor._watch() == 0
    assert supervisor.spawned == [child.order]
    assert child.process.returncode == -signal.SIGKILL
    assert "worker-1: it was not ready" in caplog.text


def test_one_that_serves_is_left_alone_however_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "START_TIMEOUT_S", 0.05)
    child = _hanging()
    child.is_ready, child.started_s = True, 0.0
    supervisor = Waiting(child)
    supervisor._signals.append(signal.SIGTERM)
    os.write(supervisor._wake_write, b"!")
    assert supervisor._watch() == 0
    assert child.process.poll() is None
    child.kill()
    os.close(child.status_fd)


@pytest.mark.parametrize("timeout_s", [0.05, 600])
def test_a_start_that_hangs_ends_by_its_time_or_by_a_signal(monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> None:
    monkeypatch.setattr(serve, "START_TIMEOUT_S", timeout_s)
    child = _hanging()
    supervisor = Waiting(child)
    if timeout_s > 1:
        supervisor._signals.append(signal.SIGTERM)
        os.write(supervisor._wake_write, b"!")
        assert supervisor._await_ready(child) == 0
    else:
        assert supervisor._await_ready(child) == serve.EXIT_CORE_DIED
    child.kill()
    os.close(child.status_fd)


def test_a_start_that_gets_on_has_its_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "START_TIMEOUT_S", 600)
    child = _hanging()
    ours, theirs = os.pipe()
    os.write(theirs, WORKING + READY)
    began_s = child.started_s
    one = Child(child.order, child.process, ours, started_s=began_s - 300)
    assert Waiting(one)._await_ready(one) is None
    assert one.is_ready
    assert one.started_s >= began_s
    child.kill()
    for fd in (child.status_fd, ours, theirs):
        os.close(fd)
