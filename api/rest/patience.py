"""Ends request bodies that stop coming: a client that goes silent must not hold a thread for ever.

granian's body has no timeout. So reads are watched: one that waits longer than the limit has its connection shut
(`api.rest.connections`), which ends the read.
"""

import logging
import threading
import time
from typing import Any

from api.rest.connections import shut_idle

logger = logging.getLogger("sinogram.http")

LOOKS_PER_TIMEOUT = 4


class WatchedBody:
    """`wsgi.input` whose reads the watch knows of."""

    __slots__ = ("_address", "_raw", "_watch")

    def __init__(self, raw: Any, watch: "BodyWatch", remote_ip: str, local_port: int) -> None:
        self._raw = raw
        self._watch = watch
        self._address = (remote_ip, local_port)

    def read(self, size: int = -1) -> bytes:
        waiting = self._watch.waiting
        key = id(self)
        waiting[key] = (time.monotonic(), self._address)
        try:
            data: bytes = self._raw.read(size)
        finally:
            del waiting[key]
        return data


class BodyWatch:
    """One thread that looks now and then at the reads under way."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http-body-watch", daemon=True)
        self.waiting: dict[int, tuple[float, tuple[str, int]]] = {}  # read -> since when, whose

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._timeout_s / LOOKS_PER_TIMEOUT):
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Shut the silent connections of every client that a read has waited for too long."""
        late = {address for since, address in list(self.waiting.values()) if now - since > self._timeout_s}
        for remote_ip, local_port in late:
            count = shut_idle(remote_ip, local_port, int(self._timeout_s * 1000))
            if count:
                logger.info("http.silent-client-dropped connections=%d", count)
