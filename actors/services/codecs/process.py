"""What a codec's process runs: `python -m actors.services.codecs.process LINK SHARED MEMORY_MB PROCESSOR_S NICENESS`.

One message after the other comes by the connection LINK; the pixels go to the memory SHARED. Limits are those of a frame: of several requests
in a message those are left unanswered that are not begun within 20 ms. Standard input is a pipe on
which nothing is ever written. When the process that started this one is gone, the kernel sends SIGIO, which ends this
process, even during a frame. (The signal of a parent's death comes when the *thread* ends that has started a child.)
"""

import fcntl
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from actors.services.codecs.decoding import Decoder
from actors.services.codecs.encoding import Encoder
from actors.services.codecs.libjpeg import StrictJpeg
from actors.services.codecs.messages import (
    Outcome,
    PeerGone,
    Reply,
    Request,
    Wanted,
    decode_requests,
    encode_reply,
    receive_with_files,
)
from actors.services.codecs.renderings import make_matlab, make_picture, put_array
from actors.services.codecs.samples import Samples, read_samples
from actors.services.codecs.shared import SharedMemory
from actors.services.codecs.uncompressed import lie_in_order
from store.dicom.pixels.arrays import array_bytes
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.encodable import UnfitPixels, most_codestream_bytes
from store.dicom.pixels.transformations import Rendition, Transformations

_TOGETHER_S: Final = 0.02  # then others have their turn
_READ_BYTES: Final = 1 << 24  # at once
_MOST_SAID: Final = 200  # characters of what a library says of an image
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # meant for the server, which ends us


def main() -> int:
    link_fd, shared_fd, memory_mb, processor_s, niceness = map(int, sys.argv[1:6])
    _end_with_starter()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    link = socket.socket(fileno=link_fd)
    codec = _Codec(link, SharedMemory(shared_fd))
    _limit(memory_mb << 20)
    os.nice(niceness)
    try:
        while True:
            body, files = receive_with_files(link)
            _allow_processor_time(processor_s)
            try:
                reply = codec.answer(decode_requests(body), files)
            finally:
                for file in files:
                    os.close(file)
            link.sendall(encode_reply(reply))
            if reply.outcome is Outcome.LAST_WORDS:
                return 0
    except (PeerGone, OSError):
        return 0


def _end_with_starter() -> None:
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    try:
        if not os.read(0, 1):  # it is gone already
            raise SystemExit(0)
    except BlockingIOError:
        pass


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it has nothing to write


def _allow_processor_time(seconds: int) -> None:
    """Let the kernel end this process when it has used so much more processor time; in whole seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + seconds, hard))


class _Codec:
    """Answers requests."""

    def __init__(self, link: socket.socket, shared: SharedMemory) -> None:
        self._link = link
        self._shared = shared
        self._made_bytes = 0  # of the frames before this one
        self._decoder = Decoder(StrictJpeg(self._end))
        self._encoder = Encoder()
        self._work: dict[Wanted, Callable[[bytes, Request], Reply]] = {
            Wanted.NATIVE: self._make_native,
            Wanted.CODESTREAM: self._make_codestream,
            Wanted.PICTURE: self._make_picture,
            Wanted.ARRAY: self._make_array,
            Wanted.MATLAB: self._make_matlab,
        }

    def answer(self, requests: Sequence[Request], files: Sequence[int]) -> Reply:
        """Answer requests in their order until time is up, or one fails: that one, asked for again, says why."""
        until_s = time.monotonic() + _TOGETHER_S
        self._made_bytes = 0
        sizes: list[int] = []
        for request, file in zip(requests, files, strict=True):
            reply = self._answer(request, file)
            if reply.outcome is not Outcome.DONE:
                if not sizes or reply.outcome is Outcome.LAST_WORDS:
                    return reply
                break
            sizes += reply.sizes_bytes
            self._made_bytes = sum(sizes)
            label = reply.photometric_interpretation
            if time.monotonic() > until_s:
                break
        return Reply(outcome=Outcome.DONE, sizes_bytes=tuple(sizes), photometric_interpretation=label)

    def _answer(self, request: Request, file: int) -> Reply:
        try:
            return self._work[request.wanted](_read(file, request), request)
        except UnfitPixels as exc:
            return Reply(outcome=Outcome.UNFIT, text=str(exc))
        except UndecodablePixels as exc:
            return Reply(outcome=Outcome.REFUSED, text=str(exc))
        except MemoryError:
            return Reply(outcome=Outcome.LAST_WORDS, text="A frame needs more memory than CodecMemory allows")
        except Exception as exc:  # noqa: BLE001  # libraries of several kinds, each with errors of its own
            said = f"{type(exc).__name__}: {exc}".splitlines()[0][:_MOST_SAID]
            return Reply(outcome=Outcome.REFUSED, text=f"A frame cannot be decoded: {said}")

    def _make_native(self, frame: bytes, request: Request) -> Reply:
        described = request.described
        with self._place(described.frame_bytes) as view:
            label = self._decoder.decode(frame, request.transfer_syntax, described, view, request.frame.skipped_bits)
        return _done(described.frame_bytes, label)

    def _make_codestream(self, frame: bytes, request: Request) -> Reply:
        """Decode and encode, so that the pixels do not leave this process in between."""
        described = request.described
        pixels, label = self._pixels(frame, request)
        native = replace(described, photometric_interpretation=label)
        codestream, label = self._encoder.encode(pixels, native, *request.parameters)
        if len(codestream) > most_codestream_bytes(described):
            raise UndecodablePixels("A compressed frame is larger than twice its pixels")
        return self._give(codestream, label)

    def _make_picture(self, frame: bytes, request: Request) -> Reply:
        wanted, transformed = request.parameters
        transformations = Transformations.unpack(transformed)
        samples = self._samples(frame, request, transformations)
        return self._give(make_picture(samples, Rendition.unpack(wanted), transformations))

    def _make_array(self, frame: bytes, request: Request) -> Reply:
        rescales, transformed = request.parameters
        transformations = Transformations.unpack(transformed)
        size = array_bytes(request.described, rescales=rescales)
        with self._place(size) as view:
            put_array(self._samples(frame, request, transformations), transformations, view, rescales=rescales)
        return _done(size)

    def _make_matlab(self, frame: bytes, request: Request) -> Reply:
        (transformed,) = request.parameters
        return self._give(make_matlab(self._samples(frame, request, Transformations.unpack(transformed))))

    def _samples(self, frame: bytes, request: Request, transformations: Transformations) -> Samples:
        numpy: Any = import_module("numpy")
        pixels, label = self._pixels(frame, request)
        return read_samples(numpy.frombuffer(pixels, "u1"), label, request.described, transformations)

    def _pixels(self, frame: bytes, request: Request) -> tuple[memoryview, str]:
        """The decoded pixels of a frame, which may be the frame itself, and their photometric interpretation."""
        described, skipped_bits = request.described, request.frame.skipped_bits
        if lie_in_order(skipped_bits, described) and len(frame) == described.frame_bytes:
            return memoryview(frame), described.photometric_interpretation
        pixels = memoryview(import_module("numpy").empty(described.frame_bytes, "u1"))
        return pixels, self._decoder.decode(frame, request.transfer_syntax, described, pixels, skipped_bits)

    def _give(self, made: bytes, label: str = "") -> Reply:
        with self._place(len(made)) as view:
            view[:] = made
        return _done(len(made), label)

    def _place(self, size_bytes: int) -> memoryview:
        return self._shared.view(size_bytes, self._made_bytes)

    def _end(self, text: str) -> None:
        self._link.sendall(encode_reply(Reply(outcome=Outcome.LAST_WORDS, text=text)))
        os._exit(0)


def _done(size_bytes: int, label: str = "") -> Reply:
    return Reply(outcome=Outcome.DONE, sizes_bytes=(size_bytes,), photometric_interpretation=label)


def _read(file: int, request: Request) -> bytes:
    """The frame as it lies in the file. Raises UndecodablePixels where the file has shrunk."""
    parts = []
    for start, length in request.frame.extents:
        offset, end = start, start + length
        while offset < end:
            part = os.pread(file, min(end - offset, _READ_BYTES), offset)
            if not part:
                raise UndecodablePixels("The file of an instance ends before its pixels do")
            parts.append(part)
            offset += len(part)
    return b"".join(parts)


if __name__ == "__main__":
    sys.exit(main())
