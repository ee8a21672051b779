"""`bench feed`: what listeners of the feed cost those who store, and whether each of them gets every event once and in order.

    dicom-4                    four senders without any delay, nobody listens
    dicom-4, N listeners       the same, while N clients listen to `/events`

Each run has a server of its own with a fresh archive. The listeners are one process that reads all of their sockets; what it takes of the
processors is a part of what is measured.
"""

import resource
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from tools.bench.cstore_load import cstores
from tools.bench.ingest import Supply
from tools.bench.results import Run, measured
from tools.bench.senders import in_background, run_senders
from tools.bench.targets import OWN_COMMAND, OWN_NAME, Target, start

_BEGINNING: Final = b"\r\n\r\nretry: 2000\n"  # of the body, with the end of the head before it
READ_BYTES: Final = 1 << 18
CATCH_UP_S: Final = 120.0  # for what is under way when the last instance is stored
_POLL_S: Final = 0.1
# Without chunks between the events; the stream ends with the connection.
_REQUEST: Final = b"GET /events HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n"


class Reference:
    """What all listeners get: the events, as the first that got each of them has it."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.last = 0  # event


class Listener:
    """One connection; knows how far it agrees with the others, and whether an event was missed or came twice."""

    def __init__(self, url: str, reference: Reference) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80))
        self.socket.sendall(_REQUEST)
        self.socket.setblocking(False)
        self.failure = ""
        self._reference = reference
        self._place = 0  # in its text
        self._rest = b""
        self._is_begun = False

    @property
    def is_at_end(self) -> bool:
        return self._place == len(self._reference.text)

    def read(self) -> bool:
        """Read what is there; returns whether the connection goes on."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            self.failure = self.failure or "the stream ended"
            return False
        data = self._rest + data
        if not self._is_begun:
            head, begun, data = data.partition(_BEGINNING)
            if not begun:
                self._rest = head
                return True
            self._is_begun = True
            if not head.startswith(b"HTTP/1.0 200"):
                self.failure = head[:12].decode("latin-1")
        whole = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
        self._rest = data[whole:]
        if self._reference.text.startswith(data[:whole], self._place):  # one comparison, as a rule
            self._place += whole
        else:
            for event in data[: max(0, whole - 2)].split(b"\n\n"):
                self._take(event + b"\n\n")
        return True

    def _take(self, event: bytes) -> None:
        reference = self._reference
        identifier, kind, _ = event.split(b"\n", 2)
        if kind == b"event: head":
            return
        if self.is_at_end:
            seq = int(identifier.removeprefix(b"id: "))
            if seq != reference.last + 1:
                self.failure = self.failure or f"event {seq} came behind {reference.last}"
            reference.text += event
            reference.last = seq
        elif not reference.text.startswith(event, self._place):
            self.failure = self.failure or f"another event than others got came as {identifier.decode()}"
        self._place += len(event)


def listen(target: Target, count: int, stopped: Callable[[], bool]) -> int:
    """Listen with `count` clients until the end, and then up to the last event; returns how many got every event once, in order."""
    reference = Reference()
    listeners = [Listener(target.url, reference) for _ in range(count)]
    with selectors.DefaultSelector() as selector:
        for each in listeners:
            selector.register(each.socket, selectors.EVENT_READ, each)
        head, deadline = -1, float("inf")
        while time.monotonic() < deadline and not (
            reference.last == head and all(each.failure or each.is_at_end for each in listeners)
        ):
            for key, _ in selector.select(_POLL_S):
                if not key.data.read():
                    selector.unregister(key.fileobj)
            if head < 0 and stopped():
                head, deadline = int(target.get("/events/head")["Head"]), time.monotonic() + CATCH_UP_S
    failures: Counter[str] = Counter()
    for each in listeners:
        each.socket.close()
        is_whole = each.is_at_end and reference.last == head
        failures[each.failure or ("" if is_whole else f"not all of {head} events came")] += 1
    for failure, times in failures.items():
        if failure:
            print(f"{times} listeners: {failure}", file=sys.stderr)
    return failures[""]


def feed(supply: Supply, *, listeners: int, rounds: int, count: int, folder: Path) -> list[Run]:
    """Send `count` instances without and with listeners, in turns. Raises PeerFailed."""
    _allow_descriptors(listeners)
    runs = []
    for number in range(1, rounds + 1):
        files = supply.take(count)
        for listening in (0, listeners) if number % 2 else (listeners, 0):
            print(f"round {number}: {listening} listeners", file=sys.stderr)
            place = folder / f"{number}-{listening}"
            with start(OWN_NAME, OWN_COMMAND, place, {"StableAge": 3600, "MaxEventStreams": 65535}) as target:
                runs.append(_run(target, number, files, listening))
    return runs


def _run(target: Target, number: int, files: Sequence[bytes], listening: int) -> Run:
    assert target.dicom is not None
    with ExitStack() as stack:
        work = in_background(partial(listen, target, listening)) if listening else nullcontext([0])
        served = stack.enter_context(work)
        name = f"dicom-4, {listening} listeners" if listening else "dicom-4"
        _wait_for_listeners(target, listening)
        senders = cstores(*target.dicom, target.aet, files, 4)
        run = measured(name, target, number, partial(run_senders, senders))
    if served[0] == listening and run.count == len(files) == target.count_instances():
        return run
    text = f"{served[0]} of {listening} listeners got every event once and in order; {run.count} of {len(files)} stored"
    return replace(run, failures=[*run.failures, text])


def _wait_for_listeners(target: Target, count: int) -> None:
    deadline = time.monotonic() + CATCH_UP_S
    while time.monotonic() < deadline:
        text = target.client().get("/tools/metrics-prometheus").decode()
        if any(line == f"sinogram_event_listeners {count}" for line in text.splitlines()):
            return
        time.sleep(_POLL_S)


def kept(runs: Sequence[Run]) -> float:
    """Return what is left of the rate where somebody listens."""
    alone, beside = ([run.rate for run in runs if ("," in run.scenario) is listens] for listens in (False, True))
    return median(beside) / median(alone)


def _allow_descriptors(listeners: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = listeners + 256
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
