"""Dry replays of scripts for clients of a gateway: each in a process of its own, which is ended with the connection that asked for it."""

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Final

import lmdb

from actors.services.scripts.board import Board, create_lua_board_fd, open_board
from actors.services.scripts.heartbeat import Activity
from actors.services.scripts.replays import ReplayWanted
from store.environment import Environment
from tools.server.children import launch
from tools.server.composition import ServerSettings
from tools.server.watchdog import GRACE_S, WAITING_GRACE_S

NAME: Final = "lua-replay"


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """What the process is told (`tools.server.replay_process`)."""

    settings: ServerSettings
    wanted: ReplayWanted
    link: int  # a socket, on which it tells what it finds
    board_fd: int


class ReplayProcess:
    """See `actors.services.scripts.replays.Replay`."""

    def __init__(self, settings: ServerSettings, wanted: ReplayWanted, environment: Environment) -> None:
        """Start it; from a thread that lives as long as it may run, see `tools.server.launcher`. Raises OSError.

        `environment` is this process's own, of the same archive.
        """
        self._environment = environment
        with contextlib.ExitStack() as undo:
            board_fd = create_lua_board_fd(NAME)
            undo.callback(os.close, board_fd)
            self._board: Board = open_board(board_fd)
            self._link, theirs = socket.socketpair()
            with theirs, os.fdopen(os.memfd_create("order"), "w+b") as written:
                broken = undo.enter_context(contextlib.ExitStack())
                broken.callback(self._link.close)
                pickle.dump(ReplayOrder(settings, wanted, theirs.fileno(), board_fd), written)
                written.flush()
                written.seek(0)
                self._process: subprocess.Popen[bytes] = launch(
                    "tools.server.replay_process",
                    NAME,
                    stdin=written.fileno(),
                    pass_fds=(theirs.fileno(), board_fd),
                    own_group=True,
                )
                broken.pop_all()
        self._link.setblocking(False)
        self.fd = self._link.fileno()
        self._has_ended = False

    def look(self) -> tuple[int, Activity]:
        under_way = self._board.left_behind()
        return (0 if under_way is None else under_way.seq), self._board.heartbeat.read()

    def is_stuck(self) -> bool:
        return self._board.heartbeat.read().is_stuck(time.monotonic(), GRACE_S, WAITING_GRACE_S)

    def end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._link.close()
        threading.Thread(target=self._clear_away, name="lua-replay-end", daemon=True).start()

    def _clear_away(self) -> None:
        """Wait until it is gone, which takes a while with much memory, and let go of the snapshot that it may have had."""
        self._process.wait()
        with contextlib.suppress(lmdb.Error):  # the environment is closed: the server stops
            self._environment.forget_dead_readers()
