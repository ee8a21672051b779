"""Ports for servers under test: of blocks that nobody else takes from.

A port that the kernel chose is free only until the next socket of the machine is given it, and a suite opens thousands. So a
process of tests claims a block below the ports that the kernel gives out, by listening on the block's first port for as long
as it lives, and hands out the others in turn. Several suites on one machine claim different blocks.
"""

import errno
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from functools import cache

FIRST, LAST = 10_000, 32_000  # Linux gives out 32768 and above
BLOCK = 200
_CLAIMING = threading.Lock()


def free_port() -> int:
    """Return a port of our block on which nobody listens. Raises RuntimeError if every block is claimed."""
    with _CLAIMING:  # servers are started side by side: a second claim would be dropped, with a warning
        ports = _block(os.getpid())[1]
        return next(port for port in itertools.islice(ports, BLOCK) if _is_free(port))


@cache
def _block(_owner: int) -> tuple[socket.socket, Iterator[int]]:
    """Return the socket that claims the block of this process, and its ports for ever."""
    starts = range(FIRST, LAST - BLOCK + 1, BLOCK)
    offset = os.getpid() % len(starts)  # so that processes that start together seldom meet
    for start in [*starts[offset:], *starts[:offset]]:
        try:
            claim = socket.create_server(("127.0.0.1", start))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
            continue
        return claim, itertools.cycle(range(start + 1, start + BLOCK))
    raise RuntimeError(f"no block of {BLOCK} ports is left between {FIRST} and {LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
