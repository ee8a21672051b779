"""Inflates gzip bodies piece by piece, and counts the inflated bytes of all requests of a process.

Limits of one body: its bytes (`MaximumFileSizeInArchiveMB`), its members, and, once it is large, the ratio to the bytes that came:
deflate makes up to 1,032 bytes of one. Limit of all bodies and archives under way: `MaximumArchiveSizeMB`.
"""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from events.errors import Busy, InvalidDicom

PIECE_BYTES: Final = 1 << 18
MAXIMUM_MEMBERS: Final = 10_000  # of a gzip stream
FREE_BYTES: Final = 256 << 20  # up to here the ratio does not matter: blank images are as good as nothing
MAXIMUM_RATIO: Final = 200
_WINDOW: Final = 31  # zlib's code for: gzip header expected, largest window


class UnderWay:
    """Inflated bytes that requests hold, on their way to a blob. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    @contextmanager
    def share(self, limit: int) -> Iterator["Share"]:
        """Give what one request takes from; all of it is given back at the end. `limit` is for all (0 = none)."""
        share = Share(self, limit)
        try:
            yield share
        finally:
            self.add(-share.taken, 0)

    def add(self, size: int, limit: int) -> None:
        with self._lock:
            if limit and self._bytes + size > limit:
                raise Busy("Too much is being inflated at the same time (MaximumArchiveSizeMB)")
            self._bytes += size


class Share:
    """What one request has inflated."""

    def __init__(self, under_way: UnderWay, limit: int) -> None:
        self._under_way = under_way
        self._limit = limit
        self.taken = 0

    def take(self, size: int) -> None:
        """Count bytes before they are kept. Raises Busy."""
        self._under_way.add(size, self._limit)
        self.taken += size


UNDER_WAY: Final = UnderWay()


def inflate(
    chunks: Iterator[bytes], limit: int, limit_of_all: int = 0, under_way: UnderWay = UNDER_WAY
) -> Iterator[bytes]:
    """Iterate over what a gzip stream of one or more members holds, at most `limit` bytes (0 = no limit).

    Raises InvalidDicom where the stream is damaged or cut, as Orthanc answers both, or is more than the limits allow; Busy.
    """
    with under_way.share(limit_of_all) as share:
        received = 0
        stream = _Stream()
        for chunk in chunks:
            received += len(chunk)
            for piece in stream.inflate(chunk):
                share.take(len(piece))
                if limit and share.taken > limit:
                    raise InvalidDicom("The gzip body exceeds MaximumFileSizeInArchiveMB once it is inflated")
                if share.taken > max(FREE_BYTES, received * MAXIMUM_RATIO):
                    raise InvalidDicom(
                        f"The gzip body becomes more than {MAXIMUM_RATIO} times larger once it is inflated"
                    )
                yield piece
        stream.check_end()


class _Stream:
    """The members of a gzip stream, one behind the other."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_WINDOW)
        self._members = 0
        self._is_empty = True

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the stream hold. Raises InvalidDicom."""
        while data:
            self._is_empty = False
            if self._inflater.eof:
                self._begin_member()
            try:
                piece = self._inflater.decompress(data, PIECE_BYTES)
            except zlib.error as exc:
                raise InvalidDicom from exc
            data = self._inflater.unconsumed_tail or self._inflater.unused_data
            if piece:
                yield piece

    def _begin_member(self) -> None:
        self._inflater = zlib.decompressobj(_WINDOW)
        self._members += 1
        if self._members >= MAXIMUM_MEMBERS:
            raise InvalidDicom(f"The gzip body has more than {MAXIMUM_MEMBERS} members")

    def check_end(self) -> None:
        """Raise InvalidDicom for a stream that is cut."""
        if not self._is_empty and not self._inflater.eof:
            raise InvalidDicom
