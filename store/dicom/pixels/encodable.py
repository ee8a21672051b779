"""Which pixels a compressed transfer syntax can hold, and how the dataset describes them then (PS3.5 §8.2, tables 8.2.1-1 to 8.2.15-1).

What a table does not have is refused: a value that is clipped, an index that is an index of something near, or a sign that is lost would be other
pixels under the same name. Samples keep their values; where a syntax has a fixed number of bits, more are announced, as by Orthanc.
"""

from dataclasses import dataclass, replace
from typing import Final

from store.dicom.pixels.decodable import JPEG_2000, JPEG_LS, RLE
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

DCT: Final = {BASELINE: 8, EXTENDED: 12}  # syntax -> most bits of a sample
PREDICTED: Final = frozenset({LOSSLESS, LOSSLESS_SV1})
HIGH_THROUGHPUT: Final = frozenset({HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K})
ENCODABLE: Final = frozenset({*RLE, *DCT, *PREDICTED, *JPEG_LS, *JPEG_2000})
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
        _refuse_unfit_bits(native, lossy=lossy)
        described = with_bits(_with_colours(native, transfer_syntax, lossy=lossy), transfer_syntax)
    return Encoding(transfer_syntax=transfer_syntax, quality=quality, is_lossy=lossy, described=described)


def _refuse_unfit_bits(native: PixelDescription, *, lossy: bool) -> None:
    if native.bits_allocated > 16:
        raise UnfitPixels(f"samples of {native.bits_allocated} bits can only be compressed with RLE")
    if native.high_bit != native.bits_stored - 1:
        raise UnfitPixels(f"High Bit is {native.high_bit} where {native.bits_stored} bits are stored")
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
    elif told == "RGB" and transfer_syntax in JPEG_2000:
        told = _TRANSFORMED[lossy]
    return replace(native, photometric_interpretation=told, native=None)


def with_bits(described: PixelDescription, transfer_syntax: str) -> PixelDescription:
    """Return how many bits are announced of samples in a transfer syntax. Raises UnfitPixels."""
    if transfer_syntax in DCT:
        most = 8 if described.samples == 3 else DCT[transfer_syntax]
        if described.signed:
            raise UnfitPixels("samples with a sign cannot be compressed with loss by JPEG")
        if described.bits_stored > most:
            raise UnfitPixels(f"samples of {described.bits_stored} bits are too long for this JPEG, which has {most}")
        bits = 8 if described.bits_stored <= 8 else 12
        return replace(described, bits_allocated=8 if bits == 8 else 16, bits_stored=bits, high_bit=bits - 1)
    if transfer_syntax == LS_NEAR and described.signed:
        raise UnfitPixels("samples with a sign cannot be compressed with loss by JPEG-LS")
    return described
