"""Answers of several parts: `multipart/related`, made while they leave."""

from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import Final

import falcon

from actors.wire.multipart import RELATED, PartHeaders, draw_boundary, write_parts
from api.rest.serving.file_pieces import Closing

PIECE_BYTES: Final = 1 << 18
WHOLE_BYTES: Final = 4 << 20  # an answer up to this size is made before it leaves: a piece costs a change of threads
Bytes = bytes | memoryview
Part = tuple[PartHeaders, Iterable[Bytes]]


def send_parts(resp: falcon.Response, kind: str, parts: Generator[Part], size_bytes: int) -> None:
    """Answer with parts, all of one type; their size need not be exact. What fails before the first piece has left has its status."""
    boundary = draw_boundary()
    resp.content_type = f'{RELATED}; type="{kind}"; boundary={boundary.decode()}'
    body = write_parts(parts, boundary)
    if size_bytes <= WHOLE_BYTES:
        resp.data = b"".join(body)
        return
    pieces = gathered(body)
    first = next(pieces)
    resp.stream = Closing(chain((first,), pieces), pieces)


def gathered(pieces: Iterable[Bytes], least_bytes: int = PIECE_BYTES) -> Generator[bytes]:
    """Yield the same bytes in larger pieces."""
    held: list[Bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= least_bytes:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def cut(data: bytes | memoryview) -> Iterator[bytes]:
    """Yield bytes, which may be a map of a large file, in pieces."""
    if isinstance(data, bytes) and len(data) <= PIECE_BYTES:
        yield data
        return
    view = memoryview(data)
    for start in range(0, len(view), PIECE_BYTES):
        yield bytes(view[start : start + PIECE_BYTES])


def whole_or_cut(data: Bytes) -> Iterable[Bytes]:
    """Return bytes as the content of a part: a piece of memory is copied once, as the answer is put together."""
    return (data,) if len(data) <= PIECE_BYTES else cut(data)
