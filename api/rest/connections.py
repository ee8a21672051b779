"""The TCP connections of this process's HTTP clients, looked at from outside the HTTP library (Linux).

granian tells an application neither which connection a request came on nor that a chunked body was cut short. The
kernel knows both: these functions walk the process's sockets and ask for `TCP_INFO`.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
_TCP_INFO_BYTES = 68
_LAST_DATA_RECV_OFFSET = 52  # of tcpi_last_data_recv in struct tcp_info (linux/tcp.h), milliseconds


class TcpState(IntEnum):
    """The states that matter here (include/net/tcp_states.h)."""

    ESTABLISHED = 1
    CLOSE = 7  # the client has reset the connection
    CLOSE_WAIT = 8  # the client has closed its side


@dataclass(frozen=True, slots=True)
class Connection:
    """A client's connection at the moment it was looked at."""

    socket: socket.socket  # a duplicate; valid while the iteration stands here
    state: int
    idle_ms: int  # since the client last sent something


def find_connections(remote_ip: str, local_port: int) -> Iterator[Connection]:
    """Iterate over this process's connections from one address to one of its ports."""
    for entry in _DESCRIPTORS.iterdir():
        duplicate = _duplicate_socket(entry)
        if duplicate is None:
            continue
        with closing(duplicate):
            info = _info(duplicate, remote_ip, local_port)
            if info is not None:
                (idle_ms,) = struct.unpack_from("I", info, _LAST_DATA_RECV_OFFSET)
                yield Connection(duplicate, info[0], idle_ms)


def _duplicate_socket(entry: Path) -> socket.socket | None:
    try:
        if not str(entry.readlink()).startswith("socket:"):
            return None
        copy = os.dup(int(entry.name))
    except OSError:  # closed meanwhile
        return None
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None


def _info(connection: socket.socket, remote_ip: str, local_port: int) -> bytes | None:
    if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.type != socket.SOCK_STREAM:
        return None
    try:
        if connection.getsockname()[1] != local_port:
            return None
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        # A connection that was reset has no peer any more; it may be the one that is looked for.
        if info[0] != TcpState.CLOSE and connection.getpeername()[0].removeprefix("::ffff:") != remote_ip:
            return None
    except OSError:
        return None
    return info


def is_any_cut(remote_ip: str, local_port: int) -> bool:
    """Tell whether a connection from this address was closed or reset by its client while a request is under way.

    Asked at the end of a chunked body, where a client that waits for its answer still holds the connection. Another
    request the same client gave up at this very moment makes a false alarm, which costs a retry.
    """
    gone = {TcpState.CLOSE, TcpState.CLOSE_WAIT}
    return any(connection.state in gone for connection in find_connections(remote_ip, local_port))


def shut_idle(remote_ip: str, local_port: int, idle_ms: int) -> int:
    """Shut connections from an address on which nothing came for so long; returns how many."""
    count = 0
    for connection in find_connections(remote_ip, local_port):
        if connection.state == TcpState.ESTABLISHED and connection.idle_ms >= idle_ms:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed meanwhile
                continue
            count += 1
    return count
