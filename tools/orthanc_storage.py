"""Files as an Orthanc with `StorageCompression` keeps them (seen with 1.12.7): the size in 8 bytes, then zlib.

Beside an image lies a second file, the same up to the pixels. Sent first it would be stored in the image's place, which is then refused as
known. So files of one SOP instance are looked at together, and what is the beginning of another is left out.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Final

BLOCK_BYTES: Final = 1 << 20
_IN_MEMORY_BYTES: Final = 64 << 20  # beyond it an inflated file lies on disk until it is sent
_HEAD_BYTES: Final = 4096
_SOP_INSTANCE_UID: Final = b"\x02\x00\x03\x00UI"  # (0002,0003), MediaStorageSOPInstanceUID


class Damaged(Exception):
    """The file's content does not match its beginning."""


def is_compressed_by_orthanc(path: Path) -> bool:
    """Tell whether a DICOM file is in it. Raises: OSError."""
    with suppress(Damaged):
        return stated_size(path) >= 132 and next(_pieces(path, 132), b"")[128:132] == b"DICM"
    return False


def stated_size(path: Path) -> int:
    """Return how many bytes there are once it is inflated, as its beginning says. Raises: OSError."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def open_inflated(path: Path) -> IO[bytes]:
    """Return what is in a file, to be closed. Raises Damaged, OSError."""
    inflated: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115  # closed by who asks
    try:
        for piece in _pieces(path):
            inflated.write(piece)
    except BaseException:
        inflated.close()
        raise
    return inflated


def whole_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that are not the beginning of another one. Raises: OSError."""
    groups: dict[bytes, list[Path]] = defaultdict(list)
    for path in paths:
        groups[_identity(path)].append(path)
    for group in groups.values():
        kept: list[Path] = []
        for path in sorted(group, key=stated_size, reverse=True):
            if not any(_begins(larger, path) for larger in kept):
                kept.append(path)
        yield from kept


def _identity(path: Path) -> bytes:
    """Return the SOP Instance UID, or what no other file has."""
    with suppress(Damaged):
        head = next(_pieces(path, _HEAD_BYTES), b"")
        found = head.find(_SOP_INSTANCE_UID)
        if found >= 0:
            start = found + len(_SOP_INSTANCE_UID) + 2
            return head[start : start + int.from_bytes(head[start - 2 : start], "little")]
    return str(path).encode(errors="surrogateescape")


def _begins(larger: Path, smaller: Path) -> bool:
    """Tell whether one file is the beginning of the other. Of damaged ones their sizes decide: the same size is another copy."""
    with suppress(Damaged):
        left = memoryview(b"")
        mine = _pieces(smaller)
        for piece in _pieces(larger):
            theirs = memoryview(piece)
            while theirs:
                if not left and not (left := memoryview(next(mine, b""))):
                    return True
                size = min(len(left), len(theirs))
                if left[:size] != theirs[:size]:
                    return False
                left, theirs = left[size:], theirs[size:]
        return not left and not next(mine, b"")
    return stated_size(smaller) < stated_size(larger)


def _pieces(path: Path, most: int | None = None) -> Iterator[bytes]:
    """Yield what is in a file; `most`: one piece of its beginning. Raises Damaged, OSError."""
    with path.open("rb") as file:
        left = int.from_bytes(file.read(8), "little")
        stream = zlib.decompressobj()
        try:
            while block := stream.unconsumed_tail or file.read(BLOCK_BYTES):
                piece = stream.decompress(block, BLOCK_BYTES if most is None else most)
                left -= len(piece)
                if left < 0:
                    raise Damaged("it is longer than its beginning says")
                if piece:
                    yield piece
        except zlib.error as exc:
            raise Damaged("its zlib stream is broken") from exc
        if left or not stream.eof:
            raise Damaged("it is shorter than its beginning says")
