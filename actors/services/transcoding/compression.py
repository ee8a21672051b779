"""A dataset whose pixels become codestreams, one fragment a frame (PS3.5 §A.4).

A frame is decoded and encoded in one request to a codec process, and its codestream is all that comes back. Codestreams wait in memory up to a size,
then in a file without a name: what the dataset says of all of them stands before them.
"""

import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from struct import pack
from typing import Final

from actors.services.codecs.messages import Request, Wanted
from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.derivation import READ, derived_uid, lossy_changes
from actors.services.transcoding.source import IN_MEMORY_BYTES, Source
from actors.services.transcoding.targets import Target
from store.dicom.change.values import write_item
from store.dicom.elements import UNDEFINED
from store.dicom.encoding import Change, Room, lay_out
from store.dicom.mapped import lay_down
from store.dicom.pixels.description import Frame, UndecodablePixels
from store.dicom.pixels.encodable import is_lossy, most_codestream_bytes, with_bits
from store.dicom.pixels.image import Pixels, find_pixels
from store.dicom.pixels.native import native_bytes
from store.dicom.tags import (
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_DATA,
    PLANAR_CONFIGURATION,
    SEQUENCE_END,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
)

_MOST_TABLED_BYTES: Final = (
    1 << 31
)  # of native pixels: what becomes of them has offsets of 32 bits, however much it grows
_ITEM_BYTES: Final = 8  # before a fragment
_ELEMENT_BYTES: Final = 12  # before the first of them
_END: Final = pack("<HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)


class Compression:
    """One dataset on its way."""

    def __init__(self, source: Source, target: Target) -> None:
        """Raises UndecodablePixels."""
        self._source = source
        self._target = target
        self._pixels = find_pixels(source.part10, source.elements)
        _refuse_more_frames(self._pixels)
        self._is_lossy = is_lossy(*target)
        self._label = ""
        self._sizes: list[int] = []
        self._laid_out = (b"", b"")  # what comes before the pixels, and what behind
        uid = source.text(SOP_INSTANCE_UID)
        self.sop_instance = derived_uid(uid, *target) if self._is_lossy else uid

    @property
    def pixels_at(self) -> int:
        """Where in the dataset the element of Pixel Data begins, once it is made."""
        return len(self._laid_out[0]) - _ELEMENT_BYTES

    def run(self, codecs: CodecPool, file: int, check: Callable[[], None]) -> memoryview:
        """Return the dataset, of a file that is open as a descriptor. Raises UndecodablePixels, StorageFull, Busy."""
        parts = self._parts(codecs, file, check)
        kept: list[bytes] = []
        size = 0
        for part in parts:
            kept.append(part)
            size += len(part)
            if size > IN_MEMORY_BYTES:
                return self._lay_down(chain(kept, parts))
        kept[0] = self._beginning()
        return memoryview(b"".join(kept))

    def _lay_down(self, parts: Iterator[bytes]) -> memoryview:
        with lay_down(parts) as spool:
            os.pwrite(spool.fileno(), self._beginning(), 0)
            return memoryview(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))

    def _parts(self, codecs: CodecPool, file: int, check: Callable[[], None]) -> Iterator[bytes]:
        """The dataset; its beginning is of the right size, and not right before the end of all others."""
        for place, frame in enumerate(self._pixels.frames):
            codestream = self._encode(codecs, file, frame, check)
            self._sizes.append(len(codestream))
            if not place:
                yield self._beginning()
            yield write_item(codestream, little=True)
        yield _END + self._laid_out[1]

    def _encode(self, codecs: CodecPool, file: int, frame: Frame, check: Callable[[], None]) -> bytes:
        described = self._pixels.described
        request = Request(
            wanted=Wanted.CODESTREAM,
            transfer_syntax=self._pixels.transfer_syntax,
            frame=frame,
            described=described,
            parameters=tuple(self._target),
        )
        with codecs.lease(check) as codec:
            codestream, label = codec.make(request, file, most_codestream_bytes(described))
            with codestream:
                if self._label not in {"", label}:
                    raise UndecodablePixels("The frames of an image have different colour spaces")
                self._label = label
                return bytes(codestream) + bytes(len(codestream) & 1)

    def _beginning(self) -> bytes:
        if self._is_lossy or not self._laid_out[0]:
            self._laid_out = self._lay_out()
        return self._laid_out[0] + write_item(self._offsets(), little=True)

    def _offsets(self) -> bytes:
        """The Basic Offset Table; an empty one where there may be no room for offsets, which is known before they are."""
        described = self._pixels.described
        if described.frames * described.frame_bytes > _MOST_TABLED_BYTES:
            return b""
        offsets = [0]
        for size in self._sizes[:-1]:
            offsets.append(offsets[-1] + size + _ITEM_BYTES)
        return pack(f"<{described.frames}I", *offsets, *[0] * (described.frames - len(offsets)))

    def _lay_out(self) -> tuple[bytes, bytes]:
        source = self._source
        changes = source.without_fragments() | self._changes()
        return lay_out(source.part10, source.elements, explicit=True, changes=changes)

    def _changes(self) -> dict[int, Change]:
        before = replace(self._pixels.described, native=None)
        after = with_bits(before, *self._target)
        changes: dict[int, Change] = {
            PHOTOMETRIC_INTERPRETATION: ("CS", self._label.encode("ascii")),
            PIXEL_DATA: ("OB", Room(UNDEFINED)),
        }
        if after.samples > 1:
            changes[PLANAR_CONFIGURATION] = ("US", bytes(2))
        if after != before:
            changes[BITS_ALLOCATED] = ("US", after.bits_allocated.to_bytes(2, "little"))
            changes[BITS_STORED] = ("US", after.bits_stored.to_bytes(2, "little"))
            changes[HIGH_BIT] = ("US", after.high_bit.to_bytes(2, "little"))
        if self._is_lossy:
            changes |= {SOP_INSTANCE_UID: ("UI", self.sop_instance.encode("ascii"))} | self._derivation()
        return changes

    def _derivation(self) -> dict[int, Change]:
        described, source = self._pixels.described, self._source
        bits = described.frames * described.rows * described.columns * described.samples * described.bits_stored
        ratio = bits / 8 / sum(self._sizes)
        return lossy_changes(
            self._target, source.text(SOP_CLASS_UID), source.text(SOP_INSTANCE_UID), source.raw(READ), ratio
        )


def _refuse_more_frames(pixels: Pixels) -> None:
    """Raise UndecodablePixels for pixels that nobody has announced: they would be lost. What only pads is not kept."""
    excess = pixels.excess_bytes
    if excess > 1 and excess * pixels.described.frames >= native_bytes(pixels.described):
        raise UndecodablePixels(f"Pixel Data has {excess} bytes more than are announced: there may be more frames")
