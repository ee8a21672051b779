"""Which pixels a compressed transfer syntax can hold, and how the dataset describes them then (PS3.5 §8.2, tables 8.2.1-1 to 8.2.15-1).

What a table does not have is refused: a value that is clipped, an index that is an index of something near, or a sign that is lost would be other
pixels under the same name. Samples keep their values; where a syntax has a fixed number of bits, more are announced, as by Orthanc.
"""

from dataclasses import dataclass, replace
from typing import Final

from store.dicom.pixels.decodable import JPEG_2000, JPEG_LS, JPEG_XL, RLE
from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.dicom.uids import JPEG_FAMILY, RLE_LOSSLESS

BASELINE: Final = JPEG_FAMILY + "50"
EXTENDED: Final = JPEG_FAMILY + "51"
LOSSLESS: Final = JPEG_FAMILY + "57"
LOSSLESS_SV1: Final = JPEG_FAMILY + "70"
LS_LOSSLESS: Final = JPEG_FAMILY + "80"
LS_NEAR: Final = JPEG_FAMILY + "81"
J2K_LOSSLESS: Final = JPEG_FAMILY + "90"
J2K: Final = JPEG_FAMILY + "91"
HTJ2K_LOSSLESS: Final = JPEG_FAMILY + "201"
HTJ2K_RPCL: Final = JPEG_FAMILY + "202"
HTJ2K: Final = JPEG_FAMILY + "203"
XL_LOSSLESS: Final = JPEG_FAMILY + "110"

DCT: Final = {BASELINE: 8, EXTENDED: 12}  # syntax -> most bits of a sample
PREDICTED: Final = frozenset({LOSSLESS, LOSSLESS_SV1})
HIGH_THROUGHPUT: Final = frozenset({HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K})
ENCODABLE: Final = frozenset({*RLE, *DCT, *PREDICTED, *JPEG_LS, *JPEG_2000, XL_LOSSLESS})
BEST_QUALITY: Final = 100
_GRADUAL: Final = frozenset({J2K, HTJ2K})  # with loss or without: without at the best quality
_LOSSY: Final = frozenset({*DCT, LS_NEAR})

_GRAY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
_PALETTE: Final = "PALETTE COLOR"
_COLOURS: Final = frozenset({"RGB", "YBR_FULL"})
_TRANSFORMED: Final = {False: "YBR_RCT", True: "YBR_ICT"}  # whether with loss -> what RGB becomes (PS3.3 §C.7.6.3.1.2)


class UnfitPixels(UndecodablePixels):
    """A transfer syntax cannot hold these pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How pixels become codestreams of a transfer syntax."""

    transfer_syntax: str
    quality: int  # 1 to 100, of what is lossy
    is_lossy: bool
    described: PixelDescription  # of the result
    bits: int  # of a sample in the codestream


def is_lossy(transfer_syntax: str, quality: int) -> bool:
    """Tell whether encoding changes pixels."""
    return transfer_syntax in _LOSSY or (transfer_syntax in _GRADUAL and quality < BEST_QUALITY)


def most_codestream_bytes(native: PixelDescription) -> int:
    """The room that a codestream gets: noise grows, by an eighth in RLE and by no more than the half in others."""
    return 2 * native.frame_bytes + (1 << 16)


def plan_encoding(native: PixelDescription, transfer_syntax: str, quality: int) -> Encoding:
    """Return how decoded pixels, color by pixel, are encoded. Raises UnfitPixels."""
    lossy = is_lossy(transfer_syntax, quality)
    if native.floating or native.bits_allocated == 1:
        raise UnfitPixels("samples of floating point or of a single bit cannot be compressed")
    if transfer_syntax == RLE_LOSSLESS:
        described = replace(native, native=None)
    else:
        _refuse_unfit_bits(native, transfer_syntax, lossy=lossy)
        described = with_bits(_with_colours(native, transfer_syntax, lossy=lossy), transfer_syntax, quality)
    bits = described.bits_stored if lossy else _codestream_bits(described, transfer_syntax)
    return Encoding(transfer_syntax=transfer_syntax, quality=quality, is_lossy=lossy, described=described, bits=bits)


def _refuse_unfit_bits(native: PixelDescription, transfer_syntax: str, *, lossy: bool) -> None:
    if native.bits_allocated > 16:
        raise UnfitPixels(f"samples of {native.bits_allocated} bits can only be compressed with RLE")
    if native.high_bit != native.bits_stored - 1:
        raise UnfitPixels(f"High Bit is {native.high_bit} where {native.bits_stored} bits are stored")
    if native.signed and transfer_syntax in JPEG_XL:
        raise UnfitPixels("JPEG XL has no samples with a sign")
    if native.signed and native.bits_stored == 1:
        raise UnfitPixels("samples that are a sign and nothing else cannot be compressed")
    if lossy and native.photometric_interpretation == _PALETTE:
        raise UnfitPixels("an index of a palette must not lose anything")


def _with_colours(native: PixelDescription, transfer_syntax: str, *, lossy: bool) -> PixelDescription:
    told = native.photometric_interpretation
    fitting = _COLOURS if native.samples == 3 else _GRAY | {_PALETTE}
    if told not in fitting:
        raise UnfitPixels(f"{native.samples} samples a pixel of {told[:16]!r} cannot be compressed")
    if told in _COLOURS and transfer_syntax in DCT:
        told = "YBR_FULL_422"
    elif told == "YBR_FULL" and transfer_syntax in JPEG_XL:
        raise UnfitPixels("JPEG XL has no samples of YBR_FULL")
    elif told == "RGB" and transfer_syntax in JPEG_2000:
        told = _TRANSFORMED[lossy]
    return replace(native, photometric_interpretation=told, native=None)


def with_bits(described: PixelDescription, transfer_syntax: str, quality: int) -> PixelDescription:
    """Return how many bits are announced of samples in a transfer syntax. Raises UnfitPixels."""
    stored = described.bits_stored
    if not is_lossy(transfer_syntax, quality):
        return described
    if described.signed and transfer_syntax in _LOSSY:
        raise UnfitPixels("samples with a sign cannot be compressed with loss by JPEG and JPEG-LS")
    most = DCT.get(transfer_syntax, 16) if described.samples == 1 or transfer_syntax not in DCT else 8
    if stored > most:
        raise UnfitPixels(f"samples of {stored} bits are too long for this JPEG, which has {most}")
    if transfer_syntax in _LOSSY and stored < 8:
        stored = 8
    elif transfer_syntax in DCT and stored > 8:
        stored = 12
    return replace(described, bits_allocated=8 if stored <= 8 else 16, bits_stored=stored, high_bit=stored - 1)


def _codestream_bits(described: PixelDescription, transfer_syntax: str) -> int:
    """Of what loses nothing: as many bits as other decoders can make what is allocated of.

    DCMTK 3.6 and GDCM 3.0 do not repeat the sign of a sample of fewer bits, and take one of at most 8 bits for a byte. DCMTK codes JPEG itself so,
    and reads no JPEG-LS of 2 to 7 bits that CharLS 2 has made.
    """
    allocated, stored = described.bits_allocated, described.bits_stored
    if transfer_syntax in PREDICTED or stored <= allocated - 8:
        return allocated
    return allocated if transfer_syntax in JPEG_LS and (described.signed or allocated == 8) else stored
