"""The HTTP server on a port of loopback, around any application."""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from api.rest.serving.front import Application
from api.rest.serving.server import HttpServer

DEADLINE_S = 30.0


@contextmanager
def serving(
    application: Application,
    *,
    threads: int = 2,
    is_slow: Callable[[dict[str, Any]], bool] = lambda _environ: False,
    silence_s: float = 0.6,
    keep_alive_s: float | None = None,
    no_delay: bool = True,
    tls: ssl.SSLContext | None = None,
    is_alone: bool = True,
) -> Iterator[tuple[str, int]]:
    """Run a server; gives its address. Nothing of it is left at the end."""
    before = set(threading.enumerate())
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = HttpServer(
            application,
            os.dup(listener.fileno()),
            threads=threads,
            is_slow=is_slow,
            silence_s=silence_s,
            keep_alive_s=keep_alive_s,
            no_delay=no_delay,
            tls=tls,
        )
        server.start()
        try:
            yield listener.getsockname()
        finally:
            assert server.stop() or server.abort()
    if is_alone:
        assert set(threading.enumerate()) <= before


def connect(address: tuple[str, int], data: bytes) -> socket.socket:
    client = socket.create_connection(address, timeout=DEADLINE_S)
    client.sendall(data)
    return client
