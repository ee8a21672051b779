"""What the process of a dry replay runs (`tools.server.replays`): it tells what callbacks would do as lines of JSON, on a socket.

It has no line to the core, opens the archive for reading, and its standard input, output and error lead nowhere: a script can write there.
It ends with the process that has started it, by the kernel's signal or at the next line that it tells.
"""

import contextlib
import gc
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from typing import Final

from actors.services.lua.rehearsal import Rehearsal
from actors.services.scripts.board import open_board
from actors.services.scripts.errors import ScriptFailed
from actors.services.scripts.replays import Rehearsed
from api.rest.replay_lines import encode_end, encode_position, encode_rehearsed
from events.errors import SinogramError
from store.environment import Environment
from tools.configuration.lua import with_sources
from tools.server.rehearsing import rehearsing
from tools.server.replays import ReplayOrder
from tools.server.signals import FOR_THE_SUPERVISOR, MEANINGLESS, disregard, let_come

PROGRESS_S: Final = 0.25  # between two lines that tell how far it is
LOOK_EVERY: Final = 64  # events between two looks at the clock
NICENESS: Final = 15  # whoever stores, and what is done afterwards, goes first
SWITCH_INTERVAL_S: Final = 0.0005  # as in all processes of the server


def main() -> int:
    order: ReplayOrder = pickle.load(sys.stdin.buffer)  # noqa: S301  # written by the gateway into memory of its own
    gc.freeze()
    gc.enable()
    disregard(*FOR_THE_SUPERVISOR, *MEANINGLESS)
    let_come()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    os.nice(NICENESS)
    log = _lead_nowhere()
    order.settings.set_up_reading()
    with socket.socket(fileno=order.link) as link:
        link.set_inheritable(False)
        teller = Teller(link)
        try:
            _replay(order, teller)
        except BrokenPipeError:  # nobody listens any more
            return 1
        except Exception as exc:  # noqa: BLE001  # a defect is told, too
            if not isinstance(exc, SinogramError):
                os.write(log, traceback.format_exc().encode(errors="replace"))
            with contextlib.suppress(OSError):
                teller.end(None, str(exc) if isinstance(exc, SinogramError) else "Internal error")
            return 1
    return 0


def _lead_nowhere() -> int:
    """Lead standard input, output and error nowhere; returns where the server's own messages go."""
    log = os.dup(2)
    os.set_inheritable(log, False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return log


def _replay(order: ReplayOrder, teller: "Teller") -> None:
    wanted, scripts = order.wanted, order.wanted.scripts
    if scripts is None:
        lua = with_sources(order.settings.lua)
        scripts = tuple((str(path), source) for path, source in zip(lua.scripts, lua.sources, strict=True))
    environment = Environment(order.settings.index_directory, writable=False)
    with contextlib.closing(environment):
        board = open_board(order.board_fd)
        with rehearsing(order.settings, environment, teller.tell, board) as rehearsal:
            try:
                for name, source in scripts:
                    rehearsal.load(name, source)
            except ScriptFailed:  # told already
                teller.end(rehearsal, "A script cannot be loaded")
                return
            for number, _ in enumerate(rehearsal.run(environment, wanted.since, wanted.until)):
                if number % LOOK_EVERY == 0:
                    teller.advance(rehearsal)
            teller.end(rehearsal, None)


class Teller:
    """Writes lines to a socket, and waits while they are not taken."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._told_s = 0.0

    def tell(self, rehearsed: Rehearsed) -> None:
        """Tell of a call; of a script that was loaded if that would have done something, or has failed."""
        if rehearsed.callback or rehearsed.effects or rehearsed.failure is not None:
            self._link.sendall(encode_rehearsed(rehearsed))

    def advance(self, rehearsal: Rehearsal) -> None:
        """Tell how far it is, now and then."""
        now_s = time.monotonic()
        if now_s >= self._told_s + PROGRESS_S:
            self._told_s = now_s
            self._link.sendall(encode_position(rehearsal))

    def end(self, rehearsal: Rehearsal | None, message: str | None) -> None:
        """Tell that nothing follows; `message` is why the end was not reached."""
        self._link.sendall(encode_end(rehearsal, message))
