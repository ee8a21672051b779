"""The other processes' end of the bridge: blocking requests from many threads over pooled connections."""

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.wire.bridge import frames
from actors.wire.bridge.server import connect
from events.errors import Busy

ASK_TIMEOUT_S = 60.0


class Requests:
    """Asks the actors behind one bridge. Thread-safe."""

    def __init__(self, folder: Path, socket_name: str = frames.SOCKET_NAME) -> None:
        self._folder = folder
        self._socket_name = socket_name
        self._idle: deque[socket.socket] = deque()  # its appends and pops are atomic

    def begin(self, actor: str, values: list[Any], *, timeout_s: float | None) -> "Pending":
        """Ask an actor and do not wait; the answer may take `timeout_s`, or for ever. Raises Busy."""
        frame = frames.encode([actor, *values])
        connection = self._take()
        try:
            connection.settimeout(timeout_s)
            connection.sendall(frame)
        except OSError as exc:
            connection.close()
            raise silence(self._socket_name) from exc
        return Pending(connection, self._idle.append, self._socket_name)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> socket.socket:
        try:
            return self._idle.pop()
        except IndexError:
            return connect(self._folder, self._socket_name)


class BridgeClient:
    """Reaches the actors of the core process in `folder`. Thread-safe."""

    def __init__(self, folder: Path, name: str) -> None:
        """Say hello under a name. Raises Busy if the core does not answer."""
        self._requests = Requests(folder)
        self._presence = connect(folder)  # its end tells the core that this process is gone
        try:
            self._presence.settimeout(ASK_TIMEOUT_S)
            self._presence.sendall(frames.encode(["hello", name]))
            frames.decode(frames.receive(self._presence))
            self._presence.settimeout(None)
        except (OSError, ValueError) as exc:
            self._presence.close()
            raise silence() from exc

    def request(self, actor: str, values: list[Any]) -> Any:
        """Ask an actor and wait. Raises the actor's error; Busy when the core is gone or silent.

        After Busy it is unknown whether the request took effect.
        """
        return self.begin(actor, values, timeout_s=ASK_TIMEOUT_S).result()

    def begin(self, actor: str, values: list[Any], *, timeout_s: float | None) -> "Pending":
        """Ask an actor and do not wait; the answer may take `timeout_s`, or for ever. Raises Busy.

        Only asks the core that this process has said hello to. The core of the next run has taken back the leases and runs of this
        process, and has given its work to others. Otherwise a script that asked for a job could get two.
        """
        if self._is_core_gone():
            raise Busy(f"{frames.owner_of(frames.SOCKET_NAME)} cannot be reached")
        return self._requests.begin(actor, values, timeout_s=timeout_s)

    def _is_core_gone(self) -> bool:
        try:
            return not self._presence.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # closed by us
            return True

    def wait_until_gone(self) -> None:
        """Block until the core closes the connection: the end of the server."""
        with contextlib.suppress(OSError):
            while self._presence.recv(64):
                pass

    def close(self) -> None:
        with contextlib.suppress(OSError):  # wakes the thread that waits for the end of the core
            self._presence.shutdown(socket.SHUT_RDWR)
        self._presence.close()
        self._requests.close()


class Pending:
    """A request under way on a connection of its own."""

    def __init__(self, connection: socket.socket, give_back: Callable[[socket.socket], None], socket_name: str) -> None:
        self._connection = connection
        self._give_back = give_back
        self._socket_name = socket_name

    def result(self) -> Any:
        """Wait for the answer; to be called once. Raises the actor's error; Busy when it is gone or silent."""
        try:
            reply = frames.decode(frames.receive(self._connection))
        except (OSError, ValueError) as exc:  # gone, silent, or not speaking our language
            self._connection.close()
            raise silence(self._socket_name) from exc
        self._give_back(self._connection)
        return frames.result_of(reply)

    def abandon(self) -> None:
        """Let `result` raise Busy; for any thread."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def silence(socket_name: str = frames.SOCKET_NAME) -> Busy:
    return Busy(f"{frames.owner_of(socket_name)} does not answer")
