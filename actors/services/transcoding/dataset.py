"""A DICOM file's dataset in another, uncompressed, transfer syntax, for a peer that cannot take it as it is stored.

Between uncompressed syntaxes only headers and byte order change (`store.dicom.encoding`). What is compressed is
decoded frame by frame in a process of its own (`actors.services.codecs`); the values of all other elements are left as they are,
and so is the SOP Instance UID: the instance is the same. As with DCMTK, and so Orthanc, JPEG's YBR becomes RGB, while
lossless syntaxes keep the samples they hold.

All frames are decoded before the first byte leaves, for a dataset that breaks off would end the association, and with it
what others have to do there. So a large image waits in a file without a name, not in memory.
"""

import logging
import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from actors.services.codecs.native import decode_frames, readable
from actors.services.codecs.pool import CodecPool
from events.errors import InvalidDicom
from events.numbered_warnings import UNDECODABLE, warn
from store.dicom.elements import UNDEFINED, Buffer, Element, read_elements
from store.dicom.encoding import Change, Room, encode_dataset, lay_out
from store.dicom.identifier import pick
from store.dicom.part10 import Part10, open_part10
from store.dicom.pixels.decodable import DECODABLE
from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.dicom.pixels.frames import find_frames
from store.dicom.pixels.image_module import describe_pixels
from store.dicom.tags import PHOTOMETRIC_INTERPRETATION, PIXEL_DATA, PLANAR_CONFIGURATION, SOP_INSTANCE_UID
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from store.disk_errors import DiskErrors

UNCOMPRESSED: Final = (EXPLICIT_LE, IMPLICIT_LE)  # what can be made, in the order of preference
READABLE: Final = frozenset({EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE})
IN_MEMORY_BYTES: Final = 64 << 20  # a larger decoded dataset lies in a file

log = logging.getLogger(__name__)

_SCRATCH: Final = DiskErrors("TemporaryDirectory")
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)


class CannotTranscode(InvalidDicom):
    """A file cannot be had in the transfer syntax that was asked for."""


def can_transcode(source: str, target: str) -> bool:
    """Tell whether files of one transfer syntax can be made into another; a single file may still fail."""
    return target in UNCOMPRESSED and (source in READABLE or source in DECODABLE)


def transcode(
    file: Buffer,
    target: str,
    codecs: CodecPool,
    opened: Callable[[], BinaryIO] | None = None,
    check: Callable[[], None] = lambda: None,
) -> memoryview:
    """Return the dataset of a DICOM file, without meta information, in explicit or implicit VR little endian.

    `opened` opens the file that the buffer shows, for a buffer that is too large to be copied; `check` is called before each
    frame, and what it raises ends the work.
    Raises CannotTranscode for a syntax that is not supported, or pixels that cannot be decoded; InvalidDicom for a file
    that is none; StorageFull and StorageFailed if TemporaryDirectory has no room for what is decoded; Busy; OSError of `opened`.
    """
    part10 = open_part10(file)
    source = part10.transfer_syntax
    if not can_transcode(source, target):
        raise CannotTranscode(f"Cannot transcode from {source or 'an unknown transfer syntax'} to {target}")
    elements = read_elements(part10.data, part10.start, part10.syntax)
    explicit = target == EXPLICIT_LE
    if not part10.syntax.encapsulated:
        return encode_dataset(part10, elements, explicit=explicit)
    changes = _without_fragments(elements)
    if not any(element.tag == PIXEL_DATA for element in elements):
        return encode_dataset(part10, elements, explicit=explicit, changes=changes)
    try:
        return _Decompression(part10, elements, changes, explicit=explicit, scratch=codecs.settings.scratch).run(
            codecs, opened, check
        )
    except UndecodablePixels as exc:
        uid = pick(file, (SOP_INSTANCE_UID,), "Ascii").get(SOP_INSTANCE_UID)
        warn(log, codecs.settings.warnings, UNDECODABLE, "pixels of SOP instance %s cannot be decoded: %s", uid, exc)
        raise CannotTranscode(f"Cannot decode the pixels of an instance in {source}: {exc}") from exc


def _without_fragments(elements: tuple[Element, ...]) -> dict[int, Change]:
    """Return what has no place in an uncompressed dataset."""
    changes: dict[int, Change] = dict.fromkeys(_OFFSET_TABLES)
    # A compressed icon inside a sequence goes with its sequence: it is a thumbnail of what is there.
    return changes | dict.fromkeys(element.tag for element in elements if _holds_fragments(element))


def _holds_fragments(element: Element) -> bool:
    return any(
        member.fragments is not None or _holds_fragments(member)
        for item in element.items or ()
        for member in item.elements
    )


class _Decompression:
    """One dataset whose pixels are decoded into their place."""

    def __init__(
        self,
        part10: Part10,
        elements: tuple[Element, ...],
        changes: dict[int, Change],
        *,
        explicit: bool,
        scratch: Path | None,
    ) -> None:
        self._part10 = part10
        self._elements = elements
        self._changes = changes
        self._explicit = explicit
        self._scratch = scratch
        self._described = described = describe_pixels(part10.data, elements)
        self._frames = find_frames(part10.data, elements, described.frames)
        self._pixel_bytes = described.frames * described.frame_bytes
        if self._pixel_bytes >= UNDEFINED - 1:
            raise UndecodablePixels("The pixels are longer than an uncompressed dataset can hold")
        self._dataset = memoryview(b"")

    def run(self, codecs: CodecPool, opened: Callable[[], BinaryIO] | None, check: Callable[[], None]) -> memoryview:
        source = None if opened is None else opened()
        try:
            with readable(self._part10.data, source) as file:
                decode_frames(
                    codecs, file, self._part10.transfer_syntax, self._described, self._frames, self._place, check
                )
        finally:
            if source is not None:
                source.close()
        return self._dataset

    def _place(self, photometric_interpretation: str) -> memoryview:
        """Lay the dataset out; returns the place of the pixels."""
        room = Room(self._pixel_bytes + (self._pixel_bytes & 1))
        changes = self._changes | _pixel_changes(self._described, photometric_interpretation, room)
        head, tail = lay_out(self._part10, self._elements, explicit=self._explicit, changes=changes)
        end = len(head) + room.size_bytes
        self._dataset = dataset = _zeros(end + len(tail), self._scratch)
        dataset[: len(head)] = head
        dataset[end:] = tail
        return dataset[len(head) : len(head) + self._pixel_bytes]


def _pixel_changes(described: PixelDescription, photometric_interpretation: str, room: Room) -> dict[int, Change]:
    value = photometric_interpretation.encode("ascii")
    changes: dict[int, Change] = {
        PHOTOMETRIC_INTERPRETATION: ("CS", value + b" " * (len(value) & 1)),
        PIXEL_DATA: ("OB" if described.bits_allocated == 8 else "OW", room),
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
