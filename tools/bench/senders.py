"""Senders in processes of their own, started together: what every load generator here is built on.

A sender prepares (connects, encodes) before the starting signal and keeps the time of each exchange, so that neither
Python's start nor the making of requests is measured, and one busy interpreter does not slow another sender.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from events.errors import PeerFailed

PREPARE_TIMEOUT_S: Final = 120.0
# The parent has one thread, so a fork is safe, quick, and shares the files to send without copying them.
_FORK: Final = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of senders brought."""

    count: int  # exchanges that succeeded
    seconds: float  # from the starting signal to the end of the last sender
    latencies_s: list[float] = field(default_factory=list)  # of each exchange, where they are known
    failures: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Sender:
    """One process: `prepare` returns the exchanges to make; each is called once, in order, and raises if it failed."""

    prepare: Callable[[], Iterator[Callable[[], None]]]


def run_senders(senders: Sequence[Sender]) -> Outcome:
    """Start all senders, let them go at once and wait for the last. Raises: PeerFailed if one could not prepare."""
    barrier = _FORK.Barrier(len(senders) + 1)
    running = []
    for sender in senders:
        ours, theirs = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_send, args=(sender, barrier, theirs), daemon=True)
        process.start()
        theirs.close()
        running.append((process, ours))
    try:
        barrier.wait(PREPARE_TIMEOUT_S)
    except threading.BrokenBarrierError:
        reports = [_receive(ours) for _, ours in running]
        reasons = [report["failures"][0] for report in reports if report["failures"]]
        raise PeerFailed(f"a sender could not start: {'; '.join(reasons) or 'no reason given'}") from None
    finally:
        if barrier.broken:
            for process, _ in running:
                process.join(1.0)
    reports = [_receive(ours) for _, ours in running]
    for process, _ in running:
        process.join()
    return Outcome(
        count=sum(len(report["latencies"]) for report in reports),
        seconds=max(report["ended"] for report in reports) - min(report["began"] for report in reports),
        latencies_s=[latency for report in reports for latency in report["latencies"]],
        failures=[failure for report in reports for failure in report["failures"]],
    )


@contextmanager
def in_background(work: Callable[[Callable[[], bool]], int]) -> Iterator[list[int]]:
    """Run `work(stopped)` in a process beside the block; the list gets its result when the block is left."""
    stop = _FORK.Event()
    ours, theirs = _FORK.Pipe(duplex=False)

    def run() -> None:
        theirs.send(work(stop.is_set))

    process = _FORK.Process(target=run, daemon=True)
    process.start()
    theirs.close()
    result: list[int] = []
    try:
        yield result
    finally:
        stop.set()
        try:
            result.append(ours.recv())
        except EOFError:
            result.append(0)
        process.join()


def _send(sender: Sender, barrier: Any, results: Connection) -> None:
    latencies: list[float] = []
    failures: list[str] = []
    started = time.monotonic()
    try:
        exchanges = sender.prepare()
        first = next(exchanges, None)  # connected, and the first request is there, before the signal
    except Exception as exc:  # noqa: BLE001 — told to the parent
        failures.append(f"{type(exc).__name__}: {exc}")
        barrier.abort()
    else:
        barrier.wait(PREPARE_TIMEOUT_S)
        started = time.monotonic()
        exchange = first
        while exchange is not None:
            began = time.perf_counter()
            try:
                exchange()
            except Exception as exc:  # noqa: BLE001 — counted
                failures.append(f"{type(exc).__name__}: {exc}")
                if isinstance(exc, OSError):
                    break
            else:
                latencies.append(time.perf_counter() - began)
            exchange = next(exchanges, None)
    results.send({"latencies": latencies, "failures": failures, "began": started, "ended": time.monotonic()})


def _receive(results: Connection) -> dict[str, Any]:
    try:
        report: dict[str, Any] = results.recv()
    except EOFError:
        now = time.monotonic()
        return {"latencies": [], "failures": ["the sender's process died"], "began": now, "ended": now}
    return report
