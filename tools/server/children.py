"""How the supervisor starts its processes, gets news of them and ends them.

A child has a line to the supervisor, a pair of sockets: on it the child says that it serves; its end tells the supervisor of the child's
death, and the child of the supervisor's. The kernel kills children with their supervisor at once (`tools.server.launcher`); the line
is for where it does not.
"""

import contextlib
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actors.services.scripts.settings import LUA_FILTER, LUA_MAIN
from tools.server import launcher
from tools.server.module_path import safe_path
from tools.server.process import Order
from tools.server.signals import held_back

INTERPRETERS = frozenset({LUA_FILTER, LUA_MAIN})


@dataclass(slots=True)
class Child:
    """A running process and the line on which it says that it is ready."""

    order: Order
    process: subprocess.Popen[bytes]
    status_fd: int
    started_s: float = field(default_factory=time.monotonic)
    is_ready: bool = False
    was_stuck: bool = False  # and was killed for it

    @property
    def name(self) -> str:
        return self.order.name

    def is_late(self, now_s: float, timeout_s: float) -> bool:
        """Tell whether it should serve by now and does not."""
        return not self.is_ready and self.process.returncode is None and now_s > self.started_s + timeout_s

    def hear(self) -> bytes:
        """Return the word that it has said; nothing when it is gone."""
        with contextlib.suppress(ConnectionResetError):
            return os.read(self.status_fd, 1)
        return b""

    def kill(self) -> None:
        """End it at once, an interpreter with the commands that scripts have started; wait for its end."""
        if self.order.role in INTERPRETERS:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


def spawn(order: Order) -> Child:
    """Start the process of an order; for the main thread, see `tools.server.launcher`."""
    ours, theirs = socket.socketpair()
    order.status_fd = theirs.fileno()
    try:
        process = _start(order)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Child(order, process, ours.detach())


def _start(order: Order) -> "subprocess.Popen[bytes]":
    # Not in the arguments: the settings hold passwords. Not through a pipe: they may be longer than it, and a child that hangs would hold us.
    with os.fdopen(os.memfd_create("order"), "w+b") as written:
        pickle.dump(order, written)
        written.flush()
        written.seek(0)
        own_group = order.role in INTERPRETERS  # what scripts start can be killed with it
        return launch(
            "tools.server.process",
            order.name,
            stdin=written.fileno(),
            pass_fds=order.descriptors(),
            own_group=own_group,
        )


def launch(
    module: str, name: str, *, stdin: int, pass_fds: Sequence[int], own_group: bool = False
) -> "subprocess.Popen[bytes]":
    """Run `main` of one of our modules in a process that dies with us; the name is for `ps` alone."""
    with held_back():
        return subprocess.Popen(
            [sys.executable, "-I", *_flags(), launcher.__file__, str(os.getpid()), module, name],
            stdin=stdin,
            pass_fds=pass_fds,
            process_group=0 if own_group else None,
            env=child_environment(),
        )


def child_environment() -> dict[str, str]:
    """Return the environment of a child; what it starts in its turn does not come to the current folder by PYTHONPATH either."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    absolute = safe_path([entry for entry in given if Path(entry).is_absolute()])
    return dict(os.environ) | {
        "SINOGRAM_MODULE_PATH": os.pathsep.join(safe_path(sys.path)),
        "PYTHONPATH": os.pathsep.join(absolute),  # empty is as good as none
    }


def _flags() -> list[str]:
    """What isolated mode does not take from the environment."""
    return (["-B"] if sys.dont_write_bytecode else []) + [f"-W{option}" for option in sys.warnoptions]


def wait_for_one(children: Sequence[Child], wake_fd: int, timeout_s: float | None) -> list[Child | None]:
    """Wait for a message of a child or for `wake_fd` (None in the answer); returns no child if the time is over."""
    with selectors.DefaultSelector() as selector:
        selector.register(wake_fd, selectors.EVENT_READ)
        for child in children:
            selector.register(child.status_fd, selectors.EVENT_READ, child)
        return [entry.data for entry, _ in selector.select(timeout_s)]
