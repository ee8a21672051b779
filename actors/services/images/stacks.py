"""The arrays of many frames, one after the other: a series of any size is never in memory as a whole.

All instances are described before the first frame leaves, so that an answer does not break off for what could be known before it. Then
frames are made ahead, compressed ones in as many codec processes as the pool has, a few at a time; while the client is slow, no process is held.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from actors.services.codecs.messages import MOST_TOGETHER, Request, Wanted
from actors.services.codecs.pool import CodecPool
from actors.services.images.image import Described, opened, read_image
from events.identifiers import BlobId
from store.blobs.store import BlobStore
from store.dicom.part10 import Part10
from store.dicom.pixels.arrays import array_bytes, array_type
from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.records import Instance
from store.views.current import read_current
from store.views.views import Views

_AHEAD: Final = 2  # pieces, for each codec process
_PIECE_BYTES: Final = 2 << 20  # of small frames some leave together: a piece costs 0.3 ms on its way, whatever its size
_KEPT_FRAMES: Final = 8  # of one instance; what is known of more of them is read again when their turn comes
_KEPT_BYTES: Final = 64 << 20  # of what was inflated, from frame to frame


class Room:
    """So many bytes, for all who share them. Thread-safe."""

    def __init__(self, size_bytes: int) -> None:
        self.free_bytes = size_bytes
        self._lock = threading.Lock()

    def take(self, size_bytes: int) -> bool:
        with self._lock:
            if size_bytes > self.free_bytes:
                return False
            self.free_bytes -= size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        with self._lock:
            self.free_bytes += size_bytes


AHEAD: Final = Room(256 << 20)  # clients that do not read hold what was made for them


class SizesDiffer(UndecodablePixels):
    """The frames of a series do not have one size."""


class FormatsDiffer(UndecodablePixels):
    """The frames of a series do not have one type of numbers."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One instance of a stack."""

    instance: Instance
    pixels: PixelDescription
    image: Described | None  # None: to be read again


_Place: TypeAlias = tuple[_Member, int]  # a frame of it


class Stack:
    """The frames of instances of one size and type, in order."""

    def __init__(
        self,
        codecs: CodecPool,
        blobs: BlobStore,
        views: Views,
        instances: Sequence[Instance],
        check: Callable[[], None] = lambda: None,
        *,
        rescales: bool,
        frame: int | None = None,
    ) -> None:
        """Of all frames, or of one of one instance; `check` is called for each instance and each frame, and what it raises ends the work. Raises NoSuchFrame, SizesDiffer, FormatsDiffer, UndecodablePixels, InvalidDicom, Busy, FileNotFoundError, and as `BlobStore.read_instance`."""
        self._codecs = codecs
        self._blobs = blobs
        self._views = views
        self._check = check
        self._reading = threading.Lock()
        self._last: tuple[BlobId, Described, Part10 | None] | None = None
        self._rescales = rescales
        self._frame = frame
        self._members = [read_current(views, instance, self._describe) for instance in instances]
        first = self._members[0].pixels
        for member in self._members:
            _compare(first, member.pixels)
        self.described = first
        self.frames = sum(len(self._frames(member)) for member in self._members)
        self.frame_bytes = array_bytes(first, rescales=rescales)

    def _describe(self, instance: Instance) -> _Member:
        self._check()
        image, content = read_image(self._blobs, instance, self._frame)
        described = image.pixels.described
        is_kept = described.frames <= _KEPT_FRAMES and content is None
        return _Member(instance, described, image if is_kept else None)

    def _read(self, member: _Member, instance: Instance) -> tuple[Described, Part10 | None]:
        """Return what is known of an image, and what it was read from, if that is not its file as it lies there.

        That of an image of many frames is kept for the next one: 2,000 with groups of their own take 0.1 s to be read.
        """
        if member.image is not None and instance.blob == member.instance.blob:
            return member.image, None
        with self._reading:
            if self._last is not None and self._last[0] == instance.blob:
                return self._last[1:]
            image, content = read_image(self._blobs, instance, self._frame)
            if content is None or len(content.data) <= _KEPT_BYTES:
                self._last = instance.blob, image, content
            return image, content

    def _frames(self, member: _Member) -> Sequence[int]:
        return range(member.pixels.frames) if self._frame is None else [self._frame]

    def arrays(self) -> Generator[bytes]:
        """Iterate over the frames' numbers, little endian, in C order, some frames at a time. Raises as the constructor."""
        waiting = ((member, frame) for member in self._members for frame in self._frames(member))
        size = max(1, min(MOST_TOGETHER, _PIECE_BYTES // self.frame_bytes, self.frames))
        groups = iter(lambda: [*islice(waiting, size)], [])
        if self.frames <= size:
            yield from map(self._make_all, groups)
            return
        # What is not compressed costs a codec less than it costs us: two threads would wait for each other's interpreter.
        workers = 1 if self.described.native is not None else self._codecs.settings.processes
        pool = ThreadPoolExecutor(workers, thread_name_prefix="stack")
        pending: deque[Future[bytes]] = deque()
        piece_bytes = size * self.frame_bytes
        try:
            self._make_ahead(pool, pending, groups, piece_bytes)
            for _ in range(-(-self.frames // size)):
                piece = self._take(pending, piece_bytes) if pending else self._make_all(next(groups))
                self._make_ahead(pool, pending, groups, piece_bytes)
                yield piece
        finally:
            pool.shutdown(cancel_futures=True)
            AHEAD.give_back(len(pending) * piece_bytes)

    def _take(self, pending: deque[Future[bytes]], piece_bytes: int) -> bytes:
        try:
            return pending.popleft().result()
        finally:
            AHEAD.give_back(piece_bytes)

    def _make_ahead(
        self,
        pool: ThreadPoolExecutor,
        pending: deque[Future[bytes]],
        groups: Iterator[Sequence[_Place]],
        piece_bytes: int,
    ) -> None:
        """Have the next frames made, as long as all arrays that leave have room for them."""
        while len(pending) < self._codecs.settings.processes * _AHEAD and AHEAD.take(piece_bytes):
            following = next(groups, None)
            if following is None:
                AHEAD.give_back(piece_bytes)
                return
            pending.append(pool.submit(self._make_all, following))

    def _make_all(self, group: Sequence[_Place]) -> bytes:
        made: list[bytes] = []
        while group:
            try:
                made.append(self._make_some([(member, member.instance, frame) for member, frame in group]))
            except FileNotFoundError:  # another file has taken the place of one
                made.append(self._make_first(*group[0]))
            group = group[len(made[-1]) // self.frame_bytes :]
        return made[0] if len(made) == 1 else b"".join(made)

    def _make_first(self, member: _Member, frame: int) -> bytes:
        return read_current(self._views, member.instance, lambda instance: self._make_some([(member, instance, frame)]))

    def _make_some(self, group: Sequence[tuple[_Member, Instance, int]]) -> bytes:
        """Return the array of the first of these frames, and of as many others as a codec makes without keeping others from it."""
        requests: list[Request] = []
        contents: list[tuple[Instance, Part10 | None]] = []
        held_bytes = 0
        for member, instance, frame in group:
            image, content = self._read(member, instance)
            _compare(self.described, image.pixels.described)
            requests.append(image.request(Wanted.ARRAY, frame, self._rescales, image.shown[frame].pack()))
            contents.append((instance, content))
            held_bytes += len(content.data) if content else 0
            if held_bytes > _PIECE_BYTES:
                break
        # Files are opened when it is their turn: clients that wait hold no descriptors.
        with self._codecs.lease(self._check) as codec, ExitStack() as held:
            files = [held.enter_context(opened(self._blobs, *each)) for each in contents]
            with codec.make_some(requests, files, self.frame_bytes) as made:
                return bytes(made)


def _compare(one: PixelDescription, other: PixelDescription) -> None:
    """Raises SizesDiffer, FormatsDiffer."""
    if (one.rows, one.columns) != (other.rows, other.columns):
        raise SizesDiffer("The size of the frames varies: they cannot be one array")
    if array_type(one, rescales=False) != array_type(other, rescales=False):
        raise FormatsDiffer("The type of the pixels varies from frame to frame: they cannot be one array")
