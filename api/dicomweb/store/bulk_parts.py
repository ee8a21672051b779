"""The bulk data of a request to store (PS3.18 §8.7.3.3, §10.5.1): by which address each is found, and in which transfer syntax pixels are.

A part without the parameter `transfer-syntax` is what its codestream says, which the standard's default for its media type need not be. Parts of
one address are the frames of an image, in their order; so are those of `{address}/frames/{n}`.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

from api.dicomweb.media_types import OCTETS, SYNTAXES
from store.dicom.model_writer import Bulk, Extent
from store.dicom.syntax import read_syntax
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE, JPEG_FAMILY, RLE_LOSSLESS

_Part = tuple[Extent, str | None]  # where its bytes lie, in which transfer syntax they are
_FRAME: Final = re.compile(r"(.+)/frames/([1-9][0-9]{0,8})\Z")
# Media type -> its transfer syntax where nothing tells another one (PS3.18 Tables 8.7.3-2 to 8.7.3-4)
_DEFAULTS: Final = {
    OCTETS: EXPLICIT_LE,
    **{kind: syntaxes[0] for kind, syntaxes in SYNTAXES.items()},
    "image/x-dicom-rle": RLE_LOSSLESS,  # names that they had before
    "video/mpeg2": SYNTAXES["video/mpeg"][0],
}
_JPEG_KINDS: Final = {0xC0: "50", 0xC1: "51"}  # by the marker of the frame (ITU-T T.81 Table B.1)
_LOSSLESS: Final = 0xC3
_JPEG_LS: Final = 0xF7
_START_OF_SCAN: Final = 0xDA
_CODING_STYLE: Final = b"\xff\x52"  # of JPEG 2000 (ITU-T T.800 §A.6.1)
_JP2: Final = b"\0\0\0\x0cjP  "  # how a JP2 file begins (ITU-T T.800 §I.5.1)
_TRANSFORM: Final = 13  # bytes from that marker to the wavelet: 1 is the reversible one


def syntax_of(kind: str, told: str | None, beginning: bytes) -> str | None:
    """Return the transfer syntax of a part as Pixel Data, Explicit VR Little Endian for what is not compressed; None for no pixels at all."""
    if told is not None:
        syntax = read_syntax(told)
        if told in {EXPLICIT_LE, IMPLICIT_LE}:
            return EXPLICIT_LE if kind == OCTETS else None
        return told if syntax is not None and syntax.encapsulated else None
    default = _DEFAULTS.get(kind)
    if kind in {"image/jpeg", "image/jls"}:
        return _told_by_jpeg(beginning) or default
    if kind == "image/jp2" and (place := beginning.find(_CODING_STYLE)) > 0 and len(beginning) > place + _TRANSFORM:
        return default if beginning[place + _TRANSFORM] == 1 else JPEG_FAMILY + "91"
    return default


def codestream_of(beginning: bytes, extent: Extent) -> Extent:
    """Return where the codestream of a part lies: of a JP2 file, without its boxes, which DICOM does not take (PS3.5 §A.4.4)."""
    place = 0
    while beginning.startswith(_JP2) and place + 16 <= len(beginning):
        length, kind = int.from_bytes(beginning[place : place + 4], "big"), beginning[place + 4 : place + 8]
        header = 8
        if length == 1:  # it stands behind the kind
            length, header = int.from_bytes(beginning[place + 8 : place + 16], "big"), 16
        end = min(place + length, extent.size_bytes) if length else extent.size_bytes
        if kind == b"jp2c":
            return Extent(extent.offset + place + header, max(0, end - place - header))
        if length < header:
            break
        place += length
    return extent


def _told_by_jpeg(codestream: bytes) -> str | None:
    """Return the syntax that the markers of JPEG or JPEG-LS up to the first scan tell, None where they tell none of DICOM's."""
    place, kind = 2, 0
    while codestream[place : place + 1] == b"\xff" and place + 4 <= len(codestream):
        marker = codestream[place + 1]
        if marker in {*_JPEG_KINDS, _LOSSLESS, _JPEG_LS}:
            kind = marker
        if marker == _START_OF_SCAN:
            # Behind the components: the predictor of JPEG Lossless, the error that JPEG-LS allows.
            first = codestream[place + 5 + 2 * codestream[place + 4] :][:1] if place + 4 < len(codestream) else b""
            if kind == _LOSSLESS:
                return JPEG_FAMILY + ("70" if first == b"\1" else "57")
            if kind == _JPEG_LS:
                return JPEG_FAMILY + ("80" if first == b"\0" else "81")
            break
        place += 2 + int.from_bytes(codestream[place + 2 : place + 4], "big")
    return JPEG_FAMILY + _JPEG_KINDS[kind] if kind in _JPEG_KINDS else None


@dataclass(slots=True)
class BulkParts:
    """The bulk data of one request; `base` is the address of the request, from which others may be relative."""

    base: str
    _found: dict[str, list[_Part]] = field(default_factory=dict)
    _frames: dict[str, dict[int, list[_Part]]] = field(default_factory=dict)

    def add(self, location: str, transfer_syntax: str | None, extent: Extent) -> None:
        """Note a part; `location` is its Content-Location or, in brackets, its Content-ID."""
        address = self._address(location)
        parts = self._found.setdefault(address, [])
        parts.append((extent, transfer_syntax))
        if (frame := _FRAME.match(address)) is not None:
            self._frames.setdefault(frame[1], {})[int(frame[2])] = parts

    def find(self, uri: str) -> Bulk | None:
        """Return the bulk data that a BulkDataURI names; None where no part is, or not every frame of an image."""
        address = self._address(uri)
        if address in self._found:
            return _joined(self._found[address])
        frames = self._frames.get(address)
        if frames is None or len(frames) != max(frames):
            return None
        return _joined([part for _, parts in sorted(frames.items()) for part in parts])

    def _address(self, uri: str) -> str:
        if uri.startswith("<") and uri.endswith(">"):
            return f"cid:{uri[1:-1]}"  # RFC 2392
        try:
            return urljoin(self.base, uri)
        except ValueError:
            return uri


def _joined(parts: list[_Part]) -> Bulk:
    syntaxes = {syntax for _, syntax in parts}
    return Bulk([extent for extent, _ in parts], syntaxes.pop() if len(syntaxes) == 1 else None)
