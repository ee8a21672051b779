"""What a child process of the supervisor runs: `python -m tools.process`, with its order on standard input."""

import contextlib
import ctypes
import faulthandler
import logging
import os
import pickle
import select
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from actors.lua.settings import LUA_FILTER, LUA_MAIN

CORE = "core"
GATEWAY = "gateway"
WORKER = "worker"

READY = b"R"  # serving
REFUSED = b"N"  # said why on standard error; trying again would not help

# Threads take turns at the interpreter. The core's writer comes back from LMDB hundreds of times a second and waits a
# whole interval whenever another thread is busy: 54 commits/s at Python's 5 ms became 530/s at 0.5 ms.
SWITCH_INTERVAL_S = 0.0005

# Where more want to run than there are processors, receiving goes before what is done afterwards: while OnStoredInstance had
# all sent on and deleted, two processors took in 48% of what they did without a script (four associations; 36% over one), with
# this 62% (47%), and sending was done no later.
NICENESS = {LUA_MAIN: 5, WORKER: 10}

# How the supervisor stops its children. Not SIGTERM: service managers send that to every process at once, and the core
# has to outlive the requests that gateways are finishing.
STOP_SIGNAL = signal.SIGUSR2
_NOT_FOR_CHILDREN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # also from a terminal, to the whole group

# For an interpreter whose server is gone. A callback that never ends would keep its process, which nobody watches any more.
ORPHAN_S = 30.0

_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Order:
    """Who a child is and what it needs."""

    role: str
    name: str
    settings: Any  # tools.composition.ServerSettings; untyped here so that a child imports only what its role needs
    http_fds: tuple[int, ...] = ()
    dicom_fds: tuple[int, ...] = ()
    slots: int = 0  # of a worker: how many jobs it may carry out at once
    boards: dict[str, int] = field(default_factory=dict)  # role of a Lua interpreter -> descriptor of its board
    status_fd: int = -1
    supervisor: int = field(default_factory=os.getpid)


class Ending:
    """The wish that this process ends, expressed by a signal or by a thread.

    Not an Event: a signal that comes while the main thread is on its way into `Event.wait` is heard when the wait is
    over, which is never, or finds the Event's lock taken by the very thread it interrupts. The interpreter writes to a
    descriptor at once, whatever its threads are doing.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def heed(self, *numbers: signal.Signals) -> None:
        """Take these signals for wishes; for the main thread."""
        for number in numbers:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def wish(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wishes
            os.write(self._write, b"\0")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a wish, or take all that came before; False if there was none in time."""
        if not select.select([self._read], [], [], timeout_s)[0]:
            return False
        os.read(self._read, 1 << 16)
        return True

    def close(self) -> None:
        """Heed nothing any more; for the main thread."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)


def main() -> int:
    try:
        order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301  # written by the supervisor into our own pipe
    except (EOFError, pickle.UnpicklingError):  # it died before it had written all
        return 1
    _end_with(order.supervisor)
    _keep_descriptors(order)
    _close_input()
    for number in _NOT_FOR_CHILDREN:
        signal.signal(number, signal.SIG_IGN)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    ending = Ending()
    ending.heed(STOP_SIGNAL)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    os.nice(NICENESS.get(order.role, 0))
    order.settings.set_up_logging(order.name)
    try:
        return _RUN[order.role](order, ending)
    except Exception as exc:
        from events.errors import Busy, SinogramError

        if not isinstance(exc, SinogramError):
            logging.getLogger("sinogram").critical("process.failed name=%s", order.name, exc_info=exc)
            return 1
        print(f"sinogram: {exc}", file=sys.stderr, flush=True)
        if isinstance(exc, Busy):  # the core is gone: another start may find it
            return 1
        _say(order, REFUSED)
        return 2


def _keep_descriptors(order: Order) -> None:
    """Let nothing that a script starts (`os.execute`) have them: the supervisor learns of our end from the last who has its pipe."""
    for fd in (order.status_fd, *order.http_fds, *order.dicom_fds, *order.boards.values()):
        os.set_inheritable(fd, False)


def _close_input() -> None:
    """Nobody who reads standard input, such as a script or what it starts, is to wait for us."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _say(order: Order, word: bytes) -> None:
    """Tell the supervisor, unless it is gone; then the kernel's signal is on its way."""
    with contextlib.suppress(BrokenPipeError):
        os.write(order.status_fd, word)


def _end_with(supervisor: int) -> None:
    """Have the kernel stop this process when the supervisor is gone, however it went, be it before this call."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, STOP_SIGNAL)
    if os.getppid() != supervisor:
        raise SystemExit(1)


def _run_core(order: Order, ending: Ending) -> int:
    from tools.core import Core

    control = {
        "shutdown": lambda: os.kill(order.supervisor, signal.SIGTERM),
        "reset": lambda: os.kill(order.supervisor, signal.SIGHUP),
    }
    core = Core(order.settings.core(), control=control)
    core.serve_bridge()
    _say(order, READY)
    while not ending.wait(10):
        if not core.is_alive():
            logging.getLogger("sinogram.core").critical("core.actor-died")
            return 1
    core.stop()
    return 0


def _identity(order: Order) -> str:
    # Not the name alone: what a process held is taken back when it is gone, and its successor may be up by then.
    return f"{order.name}/{os.getpid()}"


def _run_gateway(order: Order, ending: Ending) -> int:
    from actors.bridge.client import BridgeClient
    from actors.jobs.channel import open_channel
    from tools.gateway import Gateway

    identity = _identity(order)
    bridge = BridgeClient(order.settings.index_directory, identity)
    scripts = _reach_scripts(order)
    gateway = Gateway(
        order.settings,
        name=identity,
        ask=bridge.ask_index,
        jobs=open_channel(bridge),
        control=lambda word: bridge.request("control", [word]),
        http_fds=order.http_fds,
        dicom_fds=order.dicom_fds,
        received=scripts.get(LUA_FILTER),
        scripts=scripts.get(LUA_MAIN),
    )
    threading.Thread(target=_stop_with_core, args=(bridge, ending), daemon=True).start()
    gateway.start()
    _say(order, READY)
    ending.wait()
    gateway.stop()
    bridge.close()
    return 0


def _run_worker(order: Order, ending: Ending) -> int:
    from actors.bridge.client import BridgeClient
    from actors.jobs.channel import open_channel
    from tools.worker import Worker

    identity = _identity(order)
    bridge = BridgeClient(order.settings.index_directory, identity)
    channel = open_channel(bridge)
    scripts = _reach_scripts(order)
    worker = Worker(
        order.settings,
        name=identity,
        ask=bridge.ask_index,
        channel=channel,
        slots=order.slots,
        received=scripts.get(LUA_FILTER),
        scripts=scripts.get(LUA_MAIN),
    )
    threading.Thread(target=_stop_with_core, args=(bridge, ending), daemon=True).start()
    worker.start()
    _say(order, READY)
    ending.wait()
    worker.stop()
    channel.close()
    worker.close()
    bridge.close()
    return 0


def _run_lua_filter(order: Order, ending: Ending) -> int:
    from actors.bridge.client import BridgeClient
    from actors.lua.board import open_board
    from tools.lua_processes import FilterInterpreter

    bridge = BridgeClient(order.settings.index_directory, _identity(order))
    interpreter = FilterInterpreter(order.settings, open_board(order.boards[LUA_FILTER]), bridge.begin_index)
    return _run_lua(order, ending, bridge, interpreter)


def _run_lua_main(order: Order, ending: Ending) -> int:
    from actors.bridge.client import BridgeClient
    from actors.jobs.channel import open_channel
    from actors.lua.board import open_board
    from tools.lua_processes import MainInterpreter

    identity = _identity(order)
    bridge = BridgeClient(order.settings.index_directory, identity)
    interpreter = MainInterpreter(
        order.settings,
        open_board(order.boards[LUA_MAIN]),
        name=identity,
        ask=bridge.ask_index,
        begin=bridge.begin_index,
        jobs=open_channel(bridge),
        log_watch=open_channel(bridge, "log"),
        control=lambda word: bridge.request("control", [word]),
        received=_reach_scripts(order).get(LUA_FILTER),
    )
    return _run_lua(order, ending, bridge, interpreter)


def _run_lua(order: Order, ending: Ending, bridge: Any, interpreter: Any) -> int:
    threading.Thread(target=_stop_with_core, args=(bridge, ending, ORPHAN_S), daemon=True).start()
    serving = interpreter.serve_bridge(order.settings.index_directory)
    interpreter.start()
    _say(order, READY)
    ending.wait()
    interpreter.stop()
    serving.stop()
    bridge.close()
    return 0


def _reach_scripts(order: Order) -> dict[str, Any]:
    """Return a client of each interpreter that there is, by its role."""
    if not order.boards:
        return {}
    from actors.lua.board import open_board
    from actors.lua.reach import reach

    folder = order.settings.index_directory
    return {role: reach(folder, role, open_board(fd)) for role, fd in order.boards.items()}


def _stop_with_core(bridge: Any, ending: Ending, patience_s: float | None = None) -> None:
    bridge.wait_until_gone()
    ending.wish()
    if patience_s is not None:
        time.sleep(patience_s)
        os._exit(1)


_RUN = {
    CORE: _run_core,
    GATEWAY: _run_gateway,
    WORKER: _run_worker,
    LUA_FILTER: _run_lua_filter,
    LUA_MAIN: _run_lua_main,
}


if __name__ == "__main__":
    sys.exit(main())
