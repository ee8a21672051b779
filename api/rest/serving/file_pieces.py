"""A stored file, or a part of it, as an answer that leaves piece by piece: 2 GB cost no more memory than 1 MB."""

from collections.abc import Iterator
from io import RawIOBase
from typing import Final, Protocol, Self

import falcon

from events.errors import StorageFailed

PIECE_BYTES: Final = 1 << 18


class FilePieces:
    """The next bytes of an open file, which is closed with it. Falcon and the server close it, read or not."""

    def __init__(self, opened: RawIOBase, size_bytes: int) -> None:
        self._opened = opened
        self._left_bytes = size_bytes

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        """Raises StorageFailed if the file ends before its time: the connection then breaks, and the client knows."""
        if self._left_bytes == 0:
            self.close()
            raise StopIteration
        piece = self._opened.read(min(PIECE_BYTES, self._left_bytes))
        if not piece:
            self.close()
            raise StorageFailed("a file was cut while it was being sent")
        self._left_bytes -= len(piece)
        return piece

    def close(self) -> None:
        self._opened.close()


class Closable(Protocol):
    def close(self) -> None: ...


class Closing:
    """Pieces of an answer; whoever makes them is told when no more are wanted: the server closes it, read or not."""

    def __init__(self, pieces: Iterator[bytes], source: Closable) -> None:
        self._pieces = pieces
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._source.close()


def send_file(resp: falcon.Response, opened: RawIOBase, size_bytes: int) -> None:
    """Answer with the next bytes of a file, which is closed then."""
    pieces = FilePieces(opened, size_bytes)
    if size_bytes > PIECE_BYTES:
        resp.content_length = size_bytes
        resp.stream = pieces
        return
    try:
        resp.data = b"".join(pieces)
    finally:
        pieces.close()
