"""The listening sockets of a server. The supervisor holds them, so a restarted gateway finds its clients waiting."""

import socket

from events.errors import BadConfiguration

BACKLOG = 512


class CannotListen(BadConfiguration):
    """A port is taken or an address is not ours."""


def listen(addresses: tuple[str, ...], port: int) -> list[socket.socket]:
    """Bind and listen on each address ("" for all of IPv4 and IPv6). Raises CannotListen."""
    return [_listen(address, port) for address in addresses]


def _listen(address: str, port: int) -> socket.socket:
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
        raise CannotListen(f"cannot listen on {address or 'all addresses'} port {port}: {exc.strerror}") from exc
    return listener
