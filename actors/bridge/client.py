"""A gateway's end of the bridge: blocking requests from many threads over pooled connections."""

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

from actors.bridge import frames
from actors.bridge.server import connect
from actors.index.commands import Command, to_plain
from events.errors import Busy

ASK_TIMEOUT_S = 60.0


class BridgeClient:
    """Reaches the actors of the core process in `folder`. Thread-safe."""

    def __init__(self, folder: Path, name: str) -> None:
        """Say hello under a name. Raises Busy if the core does not answer."""
        self._folder = folder
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._presence = connect(folder)  # its end tells the core that this process is gone
        try:
            self._exchange(self._presence, frames.encode(["hello", name]))
        except (OSError, ValueError) as exc:
            self._presence.close()
            raise Busy("the core of the server does not answer") from exc

    def request(self, actor: str, values: list[Any]) -> Any:
        """Ask an actor and wait. Raises the actor's error; Busy when the core is gone or silent.

        After Busy it is unknown whether the request took effect.
        """
        frame = frames.encode([actor, *values])
        connection = self._take()
        try:
            reply = self._exchange(connection, frame)
        except (OSError, ValueError) as exc:  # gone, silent, or not speaking our language
            connection.close()
            raise Busy("the core of the server does not answer") from exc
        with self._lock:
            self._idle.append(connection)
        return frames.result_of(reply)

    def ask_index(self, command: Command) -> Any:
        return self.request("index", to_plain(command))

    def wait_until_gone(self) -> None:
        """Block until the core closes the connection: the end of the server."""
        with contextlib.suppress(OSError):
            self._presence.settimeout(None)
            while self._presence.recv(64):
                pass

    def close(self) -> None:
        with contextlib.suppress(OSError):  # wakes whoever waits for the end of the core
            self._presence.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for connection in (self._presence, *self._idle):
                connection.close()
            self._idle.clear()

    def _take(self) -> socket.socket:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return connect(self._folder)

    @staticmethod
    def _exchange(connection: socket.socket, frame: bytes) -> Any:
        connection.settimeout(ASK_TIMEOUT_S)
        connection.sendall(frame)
        return frames.decode(frames.receive(connection))
