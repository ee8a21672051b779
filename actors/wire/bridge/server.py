"""The core's end of the bridge: requests of other processes come in here and are handed to actors.

One thread waits on all connections; it decodes and dispatches, and never blocks on an actor. The thread that has a reply
writes it (the index's thread after its commit). A client keeps one request under way per connection, so a reply
always fits the socket's buffer. The first message of a connection may be `["hello", name]`: it marks the connection
whose end is the end of that process.
"""

import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.wire.bridge import frames
from actors.wire.reply import Reply
from events.errors import Busy, InvalidRequest, SinogramError

logger = logging.getLogger(__name__)

ACCEPT_PAUSE_S = 0.05

Dispatch = Callable[[list[Any], Reply], None]


@dataclass(slots=True, eq=False)
class _Client:
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    name: str = ""


class BridgeServer:
    """Serves a Unix-domain socket that only this user can reach."""

    def __init__(
        self,
        folder: Path,
        actors: dict[str, Dispatch],
        on_gone: Callable[[str], None],
        socket_name: str = frames.SOCKET_NAME,
    ) -> None:
        """Listen in `folder`; `on_gone(name)` is told of every process that said hello and then went."""
        self._actors = actors
        self._on_gone = on_gone
        self._listener = listen(folder, socket_name)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="bridge", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and end the thread."""
        os.write(self._wake_write, b"x")
        self._thread.join()
        os.close(self._wake_write)

    def _run(self) -> None:
        try:
            while self._serve_once():
                pass
        finally:
            for entry in list(self._selector.get_map().values()):
                if isinstance(entry.data, _Client):
                    entry.data.connection.close()
            self._selector.close()
            self._listener.close()
            os.close(self._wake_read)

    def _serve_once(self) -> bool:
        for entry, _ in self._selector.select():
            if entry.fileobj is self._listener:
                self._accept()
            elif entry.fileobj == self._wake_read:
                return False
            else:
                self._read(entry.data)
        return True

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as exc:  # no descriptor left: who waits is let in when one is free
            logger.error("bridge.cannot-accept error=%s", exc.strerror)
            time.sleep(ACCEPT_PAUSE_S)  # the listener stays readable: do not spin on it
            return
        self._selector.register(connection, selectors.EVENT_READ, _Client(connection))

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        client.received += data
        try:
            while (body := _take_frame(client.received)) is not None:
                self._dispatch(client, body)
        except ConnectionError as exc:
            logger.error("bridge.dropped%s: %s", _named(client), exc)
            self._drop(client)

    def _dispatch(self, client: _Client, body: bytes) -> None:
        def reply(result: Any, error: SinogramError | None) -> None:
            values = [True, result] if error is None else frames.error_values(error)
            try:
                client.connection.sendall(frames.encode(values))
            except OSError:
                logger.info("bridge.reply-lost%s", _named(client))

        try:
            actor, *values = frames.decode(body)
            if actor == "hello":
                client.name = values[0]
                reply(None, None)
            else:
                self._actors[actor](values, reply)
        except SinogramError as exc:
            reply(None, exc)
        except Exception as exc:  # a request that is nonsense must not end the bridge
            logger.error("bridge.bad-request", exc_info=exc)
            reply(None, InvalidRequest("the core does not understand this request"))

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        client.connection.close()
        if client.name:
            self._on_gone(client.name)


def _take_frame(received: bytearray) -> bytes | None:
    """Return the next whole frame, None if there is none yet. Raises ConnectionError for one that is too long."""
    if len(received) < frames.LENGTH.size:
        return None
    (length,) = frames.LENGTH.unpack_from(received)
    if length > frames.MAX_FRAME_BYTES:
        raise ConnectionError("a frame is too long")
    end = frames.LENGTH.size + length
    if len(received) < end:
        return None
    body = bytes(received[frames.LENGTH.size : end])
    del received[:end]
    return body


def listen(folder: Path, name: str = frames.SOCKET_NAME) -> socket.socket:
    """Bind a bridge's socket in a folder, however long its path is (Unix sockets take 107 bytes)."""
    path = folder / name
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    old_mask = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.umask(old_mask)
        os.close(fd)
    listener.listen(256)
    return listener


def connect(folder: Path, name: str = frames.SOCKET_NAME) -> socket.socket:
    """Connect to a bridge in `folder`, that of the core or another. Raises Busy if there is none."""
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect(connection, folder, name)
        except OSError:
            connection.close()
            raise
    except OSError as exc:  # no core, or no descriptor
        raise Busy(f"{frames.owner_of(name)} cannot be reached") from exc
    return connection


def _connect(connection: socket.socket, folder: Path, name: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.close(fd)


def _named(client: _Client) -> str:
    """Say whose connection it is, once it has said so."""
    return f" client={client.name}" if client.name else ""
