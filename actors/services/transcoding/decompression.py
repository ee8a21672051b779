"""A dataset whose pixels are decoded into their place.

All frames are decoded before the first byte leaves, for a dataset that breaks off would end an association, and with it what others have to do
there. So a large image waits in a file without a name, not in memory.
"""

import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actors.services.codecs.native import decode_frames
from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.source import IN_MEMORY_BYTES, Source
from store.dicom.elements import UNDEFINED
from store.dicom.encoding import Change, Room, lay_out
from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.dicom.pixels.image import find_pixels
from store.dicom.tags import PHOTOMETRIC_INTERPRETATION, PIXEL_DATA, PLANAR_CONFIGURATION
from store.disk_errors import DiskErrors

_SCRATCH: Final = DiskErrors("TemporaryDirectory")


class Decompression:
    """One dataset on its way, in explicit or implicit VR little endian."""

    def __init__(self, source: Source, *, explicit: bool) -> None:
        """Raises UndecodablePixels."""
        self._source = source
        self._explicit = explicit
        self._pixels = find_pixels(source.part10, source.elements)
        described = self._pixels.described
        self._pixel_bytes = described.frames * described.frame_bytes
        if self._pixel_bytes >= UNDEFINED - 1:
            raise UndecodablePixels("The pixels are longer than an uncompressed dataset can hold")
        self._scratch: Path | None = None
        self._dataset = memoryview(b"")

    def run(self, codecs: CodecPool, file: int, check: Callable[[], None]) -> memoryview:
        """Return the dataset, of a file that is open as a descriptor. Raises UndecodablePixels, StorageFull, StorageFailed, Busy."""
        self._scratch = codecs.settings.scratch
        pixels = self._pixels
        decode_frames(codecs, file, pixels.transfer_syntax, pixels.described, pixels.frames, self._place, check)
        return self._dataset

    def _place(self, photometric_interpretation: str) -> memoryview:
        """Lay the dataset out; returns the place of the pixels."""
        source = self._source
        room = Room(self._pixel_bytes + (self._pixel_bytes & 1))
        changes = source.without_fragments() | _changes(self._pixels.described, photometric_interpretation, room)
        head, tail = lay_out(source.part10, source.elements, explicit=self._explicit, changes=changes)
        end = len(head) + room.size_bytes
        self._dataset = dataset = _zeros(end + len(tail), self._scratch)
        dataset[: len(head)] = head
        dataset[end:] = tail
        return dataset[len(head) : len(head) + self._pixel_bytes]


def _changes(described: PixelDescription, photometric_interpretation: str, room: Room) -> dict[int, Change]:
    changes: dict[int, Change] = {
        PHOTOMETRIC_INTERPRETATION: ("CS", photometric_interpretation.encode("ascii")),
        PIXEL_DATA: ("OW", room),  # of 8 bits, too: as from implicit VR (PS3.5 §A.1), and as by Orthanc
    }
    if described.samples > 1:
        changes[PLANAR_CONFIGURATION] = ("US", bytes(2))  # color by pixel, as all codestreams are decoded
    return changes


def _zeros(size_bytes: int, scratch: Path | None) -> memoryview:
    """Memory of a size, or a map of a file without a name. Raises StorageFull, StorageFailed."""
    if size_bytes <= IN_MEMORY_BYTES:
        return memoryview(bytearray(size_bytes))
    with _SCRATCH, tempfile.TemporaryFile(dir=scratch) as file:
        os.posix_fallocate(file.fileno(), 0, size_bytes)  # a map of a file with holes ends in SIGBUS on a full disk
        return memoryview(mmap.mmap(file.fileno(), size_bytes))
