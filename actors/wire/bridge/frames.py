"""Messages between processes: a 4-byte length, then msgpack of plain values.

A request is `[actor, *values]`, a reply `[True, result]` or `[False, error class, message]`. A connection carries one
request at a time, so nothing needs a number; many threads use many connections.
"""

import socket
from struct import Struct
from typing import Any

import msgpack

from events import errors
from events.errors import Busy, SinogramError

LENGTH = Struct(">I")
MAX_FRAME_BYTES = 32 << 20  # a job's plan has 20 bytes for each of its instances: 1.5 million of them
SOCKET_NAME = "bridge.sock"  # of the core; another process that serves a bridge has a socket of its own

_ERRORS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SinogramError)
}


def owner_of(socket_name: str) -> str:
    """Return who serves a bridge, for messages."""
    return (
        "the core of the server" if socket_name == SOCKET_NAME else f"the process {socket_name.removesuffix('.sock')}"
    )


def encode(values: Any) -> bytes:
    body: bytes = msgpack.packb(values)
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Any:
    return msgpack.unpackb(body, strict_map_key=False, use_list=True)


def error_values(error: SinogramError) -> list[Any]:
    return [False, type(error).__name__, str(error)]


def result_of(reply: list[Any]) -> Any:
    """Return the result in a reply, or raise the error it carries."""
    if reply[0]:
        return reply[1]
    kind, message = _ERRORS.get(reply[1], Busy), reply[2]
    raise kind(message) if message else kind()  # one that says nothing is answered without details


def receive(connection: socket.socket) -> bytes:
    """Read one frame from a blocking socket. Raises ConnectionError when the other side is gone."""
    head = _receive_exactly(connection, LENGTH.size)
    (length,) = LENGTH.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise ConnectionError("a frame is too long")
    return _receive_exactly(connection, length)


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    data = connection.recv(count)
    while 0 < len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            break
        data += more
    if len(data) < count:
        raise ConnectionError("the other side closed the connection")
    return data
