"""What a child process of the supervisor runs (see `tools.server.children`), with its order on standard input."""

import contextlib
import gc
import logging
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from actors.services.scripts.heartbeat import TICK_S
from actors.services.scripts.settings import LUA_FILTER, LUA_MAIN
from actors.wire import metrics
from actors.wire.board import share_board
from store.blobs.remembered import share_remembered
from tools.server.logging_setup import LEVEL_WORDS, log_standard_error
from tools.server.signals import (
    FOR_THE_SUPERVISOR,
    MEANINGLESS,
    STACKS_SIGNAL,
    STOP_SIGNAL,
    Ending,
    Stacks,
    disregard,
    end_deaf,
    let_come,
)

CORE = "core"
GATEWAY = "gateway"
WORKER = "worker"

READY = b"R"  # serving
WORKING = b"W"  # not yet, but getting on: its time to start begins again
REFUSED = b"N"  # said why on standard error; trying again would not help

# Threads take turns at the interpreter. The core's writer comes back from LMDB hundreds of times a second and waits a
# whole interval whenever another thread is busy: 54 commits/s at Python's 5 ms became 530/s at 0.5 ms.
SWITCH_INTERVAL_S = 0.0005

# Where more want to run than there are processors, receiving goes before what is done afterwards: while OnStoredInstance had
# all sent on and deleted, two processors took in 48% of what they did without a script (four associations; 36% over one), with
# this 62% (47%), and sending was done no later.
NICENESS = {LUA_MAIN: 5, WORKER: 10}

LOOK_S = 10.0  # between two looks of the core at itself

# For an interpreter whose server is gone. A callback that never ends would keep its process alive without a watchdog.
ORPHAN_S = 30.0


@dataclass(slots=True)
class Order:
    """Which process a child is, and what it needs."""

    role: str
    name: str
    settings: (
        Any  # tools.server.composition.ServerSettings; untyped here so that a child imports only what its role needs
    )
    http_fds: tuple[int, ...] = ()
    dicom_fds: tuple[int, ...] = ()
    number: int = 0  # of a gateway, from 0
    places_fd: int = -1  # of a gateway: memory that tells how many associations each of them has
    slots: int = 0  # of a worker: how many jobs it may carry out at once
    boards: dict[str, int] = field(default_factory=dict)  # role of a Lua interpreter -> descriptor of its board
    board_fd: int = -1  # memory of what all processes count
    row: int = 0  # of it, which is ours
    files_fd: int = -1  # memory of what all processes know of files
    status_fd: int = -1
    supervisor: int = field(default_factory=os.getpid)

    def descriptors(self) -> tuple[int, ...]:
        """Return what of the supervisor's is handed down."""
        memories = (fd for fd in (self.places_fd, self.board_fd, self.files_fd) if fd >= 0)
        return (self.status_fd, *self.http_fds, *self.dicom_fds, *self.boards.values(), *memories)


def main() -> int:
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301  # written by the supervisor into memory of its own
    _keep_descriptors(order)
    _close_input()
    share_board(order.board_fd, order.row)
    share_remembered(order.files_fd)
    metrics.PROCESS_STARTS.add(1, order.role)
    threading.Thread(target=_end_with_supervisor, args=(order,), name="supervisor", daemon=True).start()
    ending = Ending()
    _take_signals(order, ending)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    os.nice(NICENESS.get(order.role, 0))
    order.settings.set_up_logging(order.name)
    log_standard_error()
    order.settings.set_up_reading()
    try:
        return _RUN[order.role](order, ending)
    except Exception as exc:
        from events.errors import Busy, SinogramError

        if not isinstance(exc, SinogramError):
            logging.getLogger("sinogram").critical("process.failed name=%s", order.name, exc_info=exc)
            return 1
        print(f"sinogram: {exc}", file=sys.__stderr__, flush=True)
        if isinstance(exc, Busy):  # the core is gone: another start may find it
            return 1
        _say(order, REFUSED)
        return 2
    finally:
        end_deaf()


def _take_signals(order: Order, ending: Ending) -> None:
    stacks = Stacks(order.name)
    signal.signal(STACKS_SIGNAL, lambda *_: stacks.show())
    disregard(*FOR_THE_SUPERVISOR, *MEANINGLESS)
    ending.listen_to(STOP_SIGNAL)
    let_come()


def _keep_descriptors(order: Order) -> None:
    """Keep them from programs that a script starts (`os.execute`): the supervisor sees our end once no process holds the pipe."""
    for fd in order.descriptors():
        os.set_inheritable(fd, False)


def _close_input() -> None:
    """Make standard input empty: a script that reads it, or a program that it starts, must not wait for us."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _say(order: Order, word: bytes) -> None:
    """Tell the supervisor, unless it is gone."""
    with contextlib.suppress(BrokenPipeError):
        os.write(order.status_fd, word)


def _end_with_supervisor(order: Order) -> None:
    """End at once when the supervisor is gone, where the kernel has not seen to that (see `tools.server.launcher`)."""
    with contextlib.suppress(OSError):
        os.read(order.status_fd, 1)  # it never says anything
    os.kill(os.getpid(), signal.SIGKILL)


def _run_core(order: Order, ending: Ending) -> int:
    from tools.server.core import Core
    from tools.server.log_levels import LogLevels

    note_that_all_is_loaded()
    control = {
        "shutdown": lambda: os.kill(order.supervisor, signal.SIGTERM),
        "reset": lambda: os.kill(order.supervisor, signal.SIGHUP),
    }
    core = Core(order.settings.core, control=control, at_work=lambda: _say(order, WORKING))
    core.serve_bridge()
    words = {pair: word for word, pair in LEVEL_WORDS.items()}
    levels = LogLevels(core.views, order.settings.log, lambda *pair: _say(order, words[pair]))
    levels.start()
    _say(order, READY)
    while not ending.wait(LOOK_S):
        # Those of a process that ended a little after the one it was started by, as a replay does, are still there when that is gone.
        core.environment.forget_dead_readers()
        if not core.is_alive():
            logging.getLogger("sinogram.core").critical("core.actor-died")
            return 1
    levels.stop()
    core.stop()
    return 0


def _identity(order: Order) -> str:
    # Not the name alone: the leases of a process are taken back when it is gone, and its replacement may run by then.
    return f"{order.name}/{os.getpid()}"


def _run_gateway(order: Order, ending: Ending) -> int:
    from actors.wire.bridge.client import BridgeClient
    from api.dicom.places import Places
    from tools.server.gateway import Gateway

    note_that_all_is_loaded()
    bridge = BridgeClient(order.settings.index_directory, _identity(order))
    gateway = Gateway(
        order.settings,
        _links(order, bridge),
        http_fds=order.http_fds,
        dicom_fds=order.dicom_fds,
        places=Places(order.places_fd, order.number),
    )
    threading.Thread(target=_stop_with_core, args=(bridge, ending), daemon=True).start()
    gateway.start()
    _say(order, READY)
    ending.wait()
    gateway.stop()
    bridge.close()
    return 0


def _run_worker(order: Order, ending: Ending) -> int:
    from actors.wire.bridge.client import BridgeClient
    from tools.server.worker import Worker

    note_that_all_is_loaded()
    bridge = BridgeClient(order.settings.index_directory, _identity(order))
    worker = Worker(order.settings, _links(order, bridge), slots=order.slots)
    threading.Thread(target=_stop_with_core, args=(bridge, ending), daemon=True).start()
    worker.start()
    _say(order, READY)
    ending.wait()
    worker.stop()
    bridge.close()
    return 0


def _run_lua_filter(order: Order, ending: Ending) -> int:
    from actors.messages.index_client import begin_over
    from actors.services.scripts.board import open_board
    from actors.wire.bridge.client import BridgeClient
    from store.environment import Environment
    from store.views.views import Views
    from tools.server.log_levels import LogLevels
    from tools.server.lua_processes import FilterInterpreter

    note_that_all_is_loaded()
    bridge = BridgeClient(order.settings.index_directory, _identity(order))
    board = open_board(order.boards[LUA_FILTER])
    _show_life(board)
    interpreter = FilterInterpreter(order.settings, board, begin_over(bridge))
    environment = Environment(order.settings.index_directory, writable=False)  # for the levels alone
    levels = LogLevels(Views(environment), order.settings.log)
    levels.start()
    try:
        return _run_lua(order, ending, bridge, interpreter)
    finally:
        levels.stop()
        environment.close()


def _run_lua_main(order: Order, ending: Ending) -> int:
    from actors.services.scripts.board import open_board
    from actors.wire.bridge.client import BridgeClient
    from tools.server.lua_processes import MainInterpreter

    note_that_all_is_loaded()
    bridge = BridgeClient(order.settings.index_directory, _identity(order))
    board = open_board(order.boards[LUA_MAIN])
    _show_life(board)
    interpreter = MainInterpreter(order.settings, board, _links(order, bridge))
    return _run_lua(order, ending, bridge, interpreter)


def note_that_all_is_loaded() -> None:
    """Let the collector work from now on, but not on the objects that modules have made: these stay, and an end need not look through them."""
    gc.freeze()
    gc.enable()


def _show_life(board: Any) -> None:
    """Let the supervisor see whether threads of this process run at all."""

    def tick() -> None:
        while True:
            board.heartbeat.tick()
            time.sleep(TICK_S)

    threading.Thread(target=tick, name="lua-life", daemon=True).start()


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


def _links(order: Order, bridge: Any) -> Any:
    """Return how a process reaches the core, and the interpreters that there are."""
    from tools.server.links import links_over

    if not order.boards:
        return links_over(bridge, _identity(order))
    from actors.services.scripts.board import open_board
    from actors.services.scripts.reach import reach

    folder = order.settings.index_directory
    clients = {role: reach(folder, role, open_board(fd)) for role, fd in order.boards.items() if role != order.role}
    return links_over(bridge, _identity(order), received=clients.get(LUA_FILTER), scripts=clients.get(LUA_MAIN))


def _stop_with_core(bridge: Any, ending: Ending, patience_s: float | None = None) -> None:
    bridge.wait_until_gone()
    ending.ask()
    if patience_s is not None:
        time.sleep(patience_s)
        os.killpg(0, signal.SIGKILL)  # an interpreter: it leads a group of its own, with what its scripts have started


_RUN = {
    CORE: _run_core,
    GATEWAY: _run_gateway,
    WORKER: _run_worker,
    LUA_FILTER: _run_lua_filter,
    LUA_MAIN: _run_lua_main,
}
