"""The markers of JPEG (ITU-T T.81 §B) and JPEG-LS (T.87 §C) codestreams, from the start of the image to its end."""

import re
from collections.abc import Iterator
from struct import error, unpack_from
from typing import Final

from store.dicom.pixels.codestream import Codestream, Coding, Colour
from store.dicom.pixels.description import UndecodablePixels

_SOI: Final = b"\xff\xd8"
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_DNL: Final = 0xDC
_APP0, _APP8, _APP14 = 0xE0, 0xE8, 0xEE
_JPEG_LS_FRAME: Final = 0xF7
_LOSSLESS_FRAME: Final = 0xC3
_PROGRESSIVE_FRAME: Final = 0xC2
_DCT_FRAMES: Final = frozenset({0xC0, 0xC1, _PROGRESSIVE_FRAME})  # baseline, extended: what the standard of DICOM names
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # without tables and conditioning
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment

# What ends entropy-coded data: in JPEG a byte of ones is followed by 0 or a restart, in JPEG-LS by a bit 0 or a restart.
_END_OF_SCAN: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_END_OF_LS_SCAN: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")


def read_jpeg(frame: bytes, *, is_lossless: bool) -> Codestream:
    """Read a codestream of JPEG with loss or without. Raises UndecodablePixels."""
    found = _Markers(frame, _END_OF_SCAN).read()
    if found.kind != _LOSSLESS_FRAME and (is_lossless or found.kind not in _DCT_FRAMES):
        raise UndecodablePixels(
            f"A frame is coded as the marker 0x{found.kind:02x} of JPEG says, not as its transfer syntax"
        )
    coding = Coding.PREDICTED if found.kind == _LOSSLESS_FRAME else Coding.DCT
    return found.described(coding)


def read_jpeg_ls(frame: bytes) -> Codestream:
    """Read a codestream of JPEG-LS. Raises UndecodablePixels."""
    found = _Markers(frame, _END_OF_LS_SCAN).read()
    if found.kind != _JPEG_LS_FRAME:
        raise UndecodablePixels("A frame is no JPEG-LS")
    return found.described(Coding.JPEG_LS)


class _Markers:
    """Walks over all segments of one image."""

    def __init__(self, frame: bytes, end_of_scan: re.Pattern[bytes]) -> None:
        self._frame = frame
        self._end_of_scan = end_of_scan
        self.kind = 0
        self._bits = self._rows = self._columns = 0
        self._components: list[tuple[int, int]] = []  # identifier, sampling factors
        self._interleave = 0
        self._colour = Colour.SILENT
        self._is_adobe = False
        self._scanned: set[tuple[int, int]] = set()  # (component, coefficient) that are there with all their bits
        self._size = 0

    def read(self) -> "_Markers":
        if not self._frame.startswith(_SOI):
            raise UndecodablePixels("A frame does not begin as a JPEG image does")
        try:
            for marker, value in self._segments():
                self._take(marker, value)
        except (error, IndexError, ValueError) as exc:
            raise UndecodablePixels("A frame ends inside a header of JPEG") from exc
        wanted = range(64 if self.kind == _PROGRESSIVE_FRAME else 1)
        if not self._components or not self._scanned.issuperset(
            (name, k) for name, _ in self._components for k in wanted
        ):
            raise UndecodablePixels("A frame of JPEG lacks scans")
        return self

    def described(self, coding: Coding) -> Codestream:
        return Codestream(
            coding=coding,
            rows=self._rows,
            columns=self._columns,
            samples=len(self._components),
            bits=self._bits,
            colour=self._told_colour(),
            is_subsampled=len({factors for _, factors in self._components}) > 1,
            interleave=self._interleave,
            size_bytes=self._size,
        )

    def _segments(self) -> Iterator[tuple[int, bytes]]:
        """Iterate over the segments; ends behind the end of the image. Raises UndecodablePixels, IndexError, error."""
        frame, position = self._frame, 2
        while True:
            if position >= len(frame):
                raise UndecodablePixels("A frame of JPEG is cut short: its end is missing")
            if frame[position] != 0xFF:
                raise UndecodablePixels("A frame of JPEG holds something between its segments")
            marker = frame[position + 1]
            if marker == 0xFF:  # a fill byte
                position += 1
                continue
            position += 2
            if marker == _EOI:
                self._size = position
                return
            if marker in _ALONE:
                continue
            (length,) = unpack_from(">H", frame, position)
            if length < 2 or position + length > len(frame):
                raise UndecodablePixels("A frame of JPEG is cut short inside a segment")
            yield marker, frame[position + 2 : position + length]
            position += length
            if marker == _SOS:
                end = self._end_of_scan.search(frame, position)
                if end is None:
                    raise UndecodablePixels("A frame of JPEG is cut short: its end is missing")
                position = end.start()

    def _take(self, marker: int, value: bytes) -> None:
        if marker in _FRAMES or marker == _JPEG_LS_FRAME:
            self._take_frame(marker, value)
        elif marker == _SOS:
            self._take_scan(value)
        elif marker == _DNL:
            raise UndecodablePixels("A frame of JPEG gives its number of lines only after the lines")
        elif marker == _APP0 and value.startswith(b"JFIF\0") and not self._is_adobe:
            self._colour = Colour.YCC
        elif marker == _APP8 and value.startswith(b"mrfx"):
            raise UndecodablePixels("A frame of JPEG-LS has a vendor's colour transform")
        elif marker == _APP14 and value.startswith(b"Adobe"):
            self._is_adobe = True
            self._colour = {0: Colour.RGB, 1: Colour.YCC}.get(value[11], Colour.SILENT)

    def _take_scan(self, value: bytes) -> None:
        names = value[1 : 1 + 2 * value[0] : 2]
        first, last, bits = value[1 + 2 * value[0] : 4 + 2 * value[0]]
        self._interleave = last  # in JPEG-LS
        if self.kind != _PROGRESSIVE_FRAME:
            self._scanned.update((name, 0) for name in names)
        elif not bits & 0x0F:  # no lower bits are left for a later scan
            self._scanned.update((name, k) for name in names for k in range(first, min(last, 63) + 1))

    def _take_frame(self, marker: int, value: bytes) -> None:
        if self.kind:
            raise UndecodablePixels("A frame holds more than one image of JPEG")
        self.kind = marker
        self._bits, self._rows, self._columns, count = unpack_from(">BHHB", value)
        self._components = [(value[place], value[place + 1]) for place in range(6, 6 + 3 * count, 3)]

    def _told_colour(self) -> Colour:
        if len(self._components) != 3:
            return Colour.SILENT
        if self._colour is Colour.SILENT and bytes(name for name, _ in self._components) == b"RGB":
            return Colour.RGB
        return self._colour
