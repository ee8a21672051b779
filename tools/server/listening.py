"""The listening sockets of a server. The supervisor holds them, so a restarted gateway finds its clients waiting."""

import errno
import socket

from events.errors import BadConfiguration
from tools.server import predecessor
from tools.server.holders import who_listens

BACKLOG = 512


class CannotListen(BadConfiguration):
    """A port is taken or an address is not ours."""


def listen(addresses: tuple[str, ...], port: int) -> list[socket.socket]:
    """Bind and listen on each address ("" for all of IPv4 and IPv6); waits for the end of an earlier server. Raises CannotListen."""
    listeners: list[socket.socket] = []
    try:
        for address in addresses:
            listeners.append(_listen(address, port))  # noqa: PERF401  # those there are must be closed
    except CannotListen:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listen(address: str, port: int) -> socket.socket:
    where = f"{address or 'all addresses'} port {port}"
    listener = predecessor.take(lambda: _try_to_listen(address, port, where), lambda: who_listens(port), where)
    if listener is None:
        holder = who_listens(port)
        by = f"it is in use by {holder}" if holder else "it is in use, by a process that cannot be seen from here"
        raise CannotListen(f"cannot listen on {where}: {by}; stop that, or configure another port")
    return listener


def _try_to_listen(address: str, port: int, where: str) -> socket.socket | None:
    """Listen; None if the port is in use. Raises CannotListen."""
    everywhere = address == ""
    family = socket.AF_INET6 if ":" in address or (everywhere and socket.has_dualstack_ipv6()) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if everywhere and family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            return None
        raise CannotListen(f"cannot listen on {where}: {exc.strerror}") from exc
    return listener
