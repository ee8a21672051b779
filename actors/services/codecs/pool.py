"""Codec processes, started when pixels have to be decoded, and replaced when they end.

Each server process that decodes has a pool of its own: nothing runs and nothing is held before the first compressed image,
no message goes through another process, and what dies takes one frame with it. A codec that crashes, hangs, or wants more than
its limits is an `UndecodablePixels` for its caller; all other codec processes go on.

A lease is one process for one frame, or for 20 ms of small ones, so that an image of many does not keep others waiting: who wants its next frame waits behind
those that came before. Thread-safe, but for a lease.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from actors.services.codecs.limits import IDLE_S, KEPT_BYTES, MOST_FRAMES, CodecSettings
from actors.services.codecs.messages import (
    MOST_BYTES,
    Outcome,
    PeerGone,
    Reply,
    Request,
    decode_reply,
    encode_requests,
    receive,
    send_with_files,
)
from actors.services.codecs.printed import Printed
from actors.services.codecs.shared import SharedMemory
from actors.services.codecs.turns import Turns
from actors.wire import metrics
from events.errors import Busy
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.encodable import UnfitPixels
from store.disk_errors import explain

_ROOT: Final = Path(__file__).parents[3]  # where `actors` lies
# One thread each; and memory is kept from frame to frame: to give it back and fault it in again costs up to 1 ms a frame.
_SPAWNING: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}

log = logging.getLogger(__name__)


class CodecPool:
    """The codec processes of one server process."""

    def __init__(self, settings: CodecSettings | None = None) -> None:
        self.settings = settings or CodecSettings()
        self._turns = Turns(self.settings.processes)
        self._lock = threading.Lock()
        self._idle: list[CodecProcess] = []
        self._janitor: threading.Timer | None = None
        self._is_closed = False

    @contextmanager
    def lease(self, check: Callable[[], None] = lambda: None) -> Iterator["CodecProcess"]:
        """Have a process for a frame; waits while all are leased. Raises Busy.

        `check` is called before and now and then during the wait, and an error that it raises ends the wait.
        """
        with self._turns.turn(check):
            process = self._take()
            try:
                yield process
            finally:
                self._give_back(process)

    def start_all(self) -> None:
        """Have as many processes as there may be, for who will need them at once. Raises Busy."""
        with ExitStack() as leases:
            for _ in range(self.settings.processes):
                leases.enter_context(self.lease())

    def _take(self) -> "CodecProcess":
        with self._lock:
            while self._idle:
                process = self._idle.pop()  # the one used last: the others become idle long enough to end
                if process.is_fit:
                    return process
                process.end()
        try:
            return CodecProcess(self.settings)
        except OSError as exc:
            raise Busy(f"A codec process cannot be started: {explain(exc)}") from exc

    def _give_back(self, process: "CodecProcess") -> None:
        with self._lock:
            if self._is_closed or not process.is_fit:
                process.end()
                return
            self._idle.append(process)
            self._watch_idleness()

    def _watch_idleness(self) -> None:
        if self._janitor is None and self._idle and not self._is_closed:
            wait_s = max(0.1, min(process.used_s for process in self._idle) + IDLE_S - time.monotonic())
            self._janitor = threading.Timer(wait_s, self._end_idle)
            self._janitor.daemon = True
            self._janitor.start()

    def _end_idle(self) -> None:
        with self._lock:
            self._janitor = None
            last_s = time.monotonic() - IDLE_S
            for process in [process for process in self._idle if process.used_s <= last_s]:
                self._idle.remove(process)
                process.end()
            self._watch_idleness()

    def close(self) -> None:
        """End all processes; those that are leased end with their leases."""
        with self._lock:
            self._is_closed = True
            janitor, self._janitor = self._janitor, None
            for process in self._idle:
                process.end()
            self._idle.clear()
        if janitor is not None:
            janitor.cancel()
            janitor.join()


class CodecProcess:
    """One process, and what is shared with it."""

    def __init__(self, settings: CodecSettings) -> None:
        """Start it. Raises OSError."""
        self._settings = settings
        self._frames = 0
        self._has_failed = False
        self._has_ended = False
        self.used_s = time.monotonic()
        with ExitStack() as undo:
            self._shared = SharedMemory()
            undo.callback(self._shared.close)
            self._link, theirs = socket.socketpair()
            undo.callback(self._link.close)
            self._link.settimeout(settings.timeout_s)
            with theirs:
                # Its end is heard in the process. Not inherited by others: Python's pipes are closed when a program is run.
                their_life, self._life = os.pipe()
                undo.callback(os.close, self._life)
                with ExitStack() as given:
                    given.callback(os.close, their_life)
                    self._printed = Printed()
                    undo.callback(self._printed.close)
                    given.callback(self._printed.close_theirs)
                    self._process = self._start(theirs.fileno(), their_life)
            undo.pop_all()
        metrics.CODECS.add(1)

    def _start(self, link: int, life: int) -> subprocess.Popen[bytes]:
        limits = (self._settings.memory_mb, self._settings.processor_s, self._settings.niceness)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "actors.services.codecs.process", *map(str, (link, self._shared.fd, *limits))],
            stdin=life,
            stdout=subprocess.DEVNULL,
            stderr=self._printed.theirs,
            pass_fds=(link, self._shared.fd),
            env=os.environ
            | _SPAWNING
            | {"PYTHONPATH": f"{_ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_fit(self) -> bool:
        """Whether it can be used for another image."""
        return not self._has_failed and self._frames < MOST_FRAMES and self._process.poll() is None

    def decode(self, request: Request, file: int) -> tuple[memoryview, str]:
        """Return a frame's pixels, to be released before the next one, and their photometric interpretation.

        Raises UndecodablePixels.
        """
        size = request.described.frame_bytes
        pixels, photometric_interpretation = self.make(request, file, size)
        if len(pixels) != size:
            pixels.release()
            self._has_failed = True
            raise UndecodablePixels("A codec has not decoded a whole frame")
        return pixels, photometric_interpretation

    def make(self, request: Request, file: int, most_bytes: int) -> tuple[memoryview, str]:
        """Return what is wanted of a frame, of at most so many bytes, to be released before the next request.

        Raises UndecodablePixels.
        """
        reply = self._make([request], [file], most_bytes)
        return self._shared.view(reply.sizes_bytes[0]), reply.photometric_interpretation

    def make_some(self, requests: Sequence[Request], files: Sequence[int], each_bytes: int) -> memoryview:
        """Return what is wanted of the first of these frames, or of more of them, so many bytes each; to be released as above.

        There may be up to `MOST_TOGETHER`. Raises UndecodablePixels.
        """
        sizes = self._make(requests, files, each_bytes).sizes_bytes
        if set(sizes) != {each_bytes}:
            self._has_failed = True
            raise UndecodablePixels("A codec has not made a whole frame")
        return self._shared.view(sum(sizes))

    def _make(self, requests: Sequence[Request], files: Sequence[int], most_bytes: int) -> Reply:
        started = time.perf_counter()
        count, result = 1, "failed"
        try:
            reply = self._checked(requests, files, most_bytes)
            count, result = len(reply.sizes_bytes), "decoded"
        finally:
            metrics.FRAMES.add(count, result)
            for _ in range(count):
                metrics.FRAME_SECONDS.observe((time.perf_counter() - started) / count)
        return reply

    def _checked(self, requests: Sequence[Request], files: Sequence[int], most_bytes: int) -> Reply:
        if most_bytes > self._settings.memory_mb << 20:
            raise UndecodablePixels("A frame needs more memory than CodecMemory allows")
        reply = self._ask(requests, files, most_bytes)
        if reply.outcome is not Outcome.DONE:
            self._has_failed = self._has_failed or reply.outcome is Outcome.LAST_WORDS
            raise UnfitPixels(reply.text) if reply.outcome is Outcome.UNFIT else UndecodablePixels(reply.text)
        sizes = reply.sizes_bytes
        if not 0 < len(sizes) <= len(requests) or not 0 <= min(sizes) <= max(sizes) <= most_bytes:
            self._has_failed = True
            raise UndecodablePixels("A codec says that it has made more than there is room for")
        return reply

    def _ask(self, requests: Sequence[Request], files: Sequence[int], most_bytes: int) -> Reply:
        self._frames += len(requests)
        self.used_s = time.monotonic()
        message = encode_requests(requests)
        if len(message) > MOST_BYTES and len(requests) > 1:
            return self._ask(requests[:1], files[:1], most_bytes)
        if len(message) > MOST_BYTES:
            raise UndecodablePixels(f"A frame lies in {len(requests[0].frame.extents)} fragments, which are too many")
        size = len(requests) * most_bytes
        try:
            self._shared.grow(size)
            send_with_files(self._link, message, files)
            return decode_reply(receive(self._link))
        except TimeoutError as exc:
            self._has_failed = True
            log.warning("codec.killed pid=%d: a frame took more than %d s", self.pid, self._settings.timeout_s)
            raise UndecodablePixels(
                f"Decoding a frame took more than CodecTimeout, {self._settings.timeout_s} s"
            ) from exc
        except (PeerGone, OSError) as exc:
            self._has_failed = True
            raise UndecodablePixels(f"The codec of a frame {self._explain_end()}") from exc
        finally:
            self._printed.tell(self.pid, logging.INFO)  # of images that are odd, as a rule
            self._has_failed = self._has_failed or size > KEPT_BYTES  # it has served, and is not kept
            self.used_s = time.monotonic()

    def _explain_end(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            said = f"needed more than CodecProcessorTime, {self._settings.processor_s} s"
        else:
            said = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else "has ended"
        log.warning("codec.died pid=%d: it %s; it is replaced when it is needed", self.pid, said)
        self._printed.tell(self.pid, logging.WARNING)
        return said

    def end(self) -> None:
        """End the process, and release the memory shared with it."""
        if self._has_ended:
            return
        self._has_ended = True
        metrics.CODECS.add(-1)
        self._process.kill()
        self._process.wait()
        self._link.close()
        os.close(self._life)
        self._printed.close()
        self._shared.close()
