"""Whether a dataset's description and a codestream mean the same pixels, and what the decoded samples are.

A contradiction between the two is an error: nobody can say which is right, and pixels that may be wrong are not delivered.
Two descriptions without a contradiction are accepted: a codestream with more bits than are
stored, as long as no sample uses them; signed samples coded as two's complement.
"""

from dataclasses import dataclass
from typing import Final

from store.dicom.pixels.codestream import Codestream, Coding, Colour
from store.dicom.pixels.description import PixelDescription, UndecodablePixels

_GRAY: Final = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_YBR: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})
_TRANSFORMED: Final = {
    Coding.WAVELET: frozenset({"RGB", "YBR_RCT", "YBR_ICT"}),
    Coding.MODULAR: frozenset({"RGB", "XYB"}),  # whatever its components are, the library gives RGB
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do with the samples of a codestream."""

    photometric_interpretation: str  # of what comes out
    converts: bool = False  # YCbCr to RGB
    sign_bit: int | None = None  # the samples are two's complement of so many bits, to be extended


def agree(described: PixelDescription, found: Codestream) -> Plan:
    """Return how the samples become pixels. Raises UndecodablePixels where description and codestream differ."""
    if described.floating or described.bits_allocated == 1:
        raise UndecodablePixels("Samples of a single bit or of floating point cannot be in a compressed frame")
    _compare("rows", described.rows, found.rows)
    _compare("columns", described.columns, found.columns)
    _compare("samples per pixel", described.samples, found.samples)
    sign_bit = _agree_on_bits(described, found)
    photometric_interpretation, converts = _agree_on_colours(described, found)
    return Plan(photometric_interpretation=photometric_interpretation, converts=converts, sign_bit=sign_bit)


def _compare(what: str, described: int, found: int) -> None:
    if described != found:
        raise UndecodablePixels(f"The dataset announces {described} {what}, a frame has {found}")


def _agree_on_bits(described: PixelDescription, found: Codestream) -> int | None:
    """Return of how many bits the samples are two's complement, None if they are what they are."""
    if found.coding is Coding.RUNS:
        return None  # whole bytes of pixels, as they were
    is_jpeg = found.coding is not Coding.WAVELET
    if is_jpeg and described.bits_allocated == 32:
        raise UndecodablePixels("Bits Allocated is 32, which JPEG cannot hold")
    if found.bits > described.bits_allocated:
        raise UndecodablePixels(f"A frame has {found.bits} bits a sample, {described.bits_allocated} are allocated")
    if described.high_bit != described.bits_stored - 1 and found.bits <= described.high_bit:
        raise UndecodablePixels(f"High Bit is {described.high_bit}, a frame has {found.bits} bits a sample")
    # Without loss fewer bits are a smaller range of the same samples; with loss, or as bytes, they are another image.
    if found.bits < described.bits_stored and (found.coding is Coding.DCT or found.bits <= 8):
        raise UndecodablePixels(
            f"A frame has {found.bits} bits a sample, the dataset announces {described.bits_stored}"
        )
    if not described.signed or found.signed or found.bits == described.bits_allocated:
        return None
    if found.bits != described.bits_stored:
        raise UndecodablePixels(
            f"Samples are signed; a frame has {found.bits} bits without a sign, the dataset announces {described.bits_stored}"
        )
    return found.bits


def _agree_on_colours(described: PixelDescription, found: Codestream) -> tuple[str, bool]:
    """Return what the colours are when decoded, and whether they have to be converted for that."""
    told = described.photometric_interpretation
    if described.samples == 1:
        if told not in _GRAY:
            raise _contradiction(told, "one sample a pixel")
        return told, False
    if found.coding is Coding.DCT:
        return "RGB", _is_converted(told, found)
    if found.is_subsampled:
        raise UndecodablePixels("The components of a frame without loss are subsampled")
    if found.colour is Colour.TRANSFORMED or found.coding is Coding.MODULAR:
        if told not in _TRANSFORMED[found.coding]:
            raise _contradiction(told, "components that were transformed together")
        return "RGB", False
    if told in _YBR:  # all samples are there: what YBR_FULL_422 says of uncompressed pixels would be wrong
        return "YBR_FULL", False
    if told != "RGB":
        raise _contradiction(told, "three components as they are")
    return told, False


def _is_converted(told: str, found: Codestream) -> bool:
    if told in _YBR:
        if found.colour is Colour.RGB:
            raise _contradiction(told, "RGB")
        return True
    if told != "RGB":
        raise _contradiction(told, "three components of JPEG")
    if found.colour is Colour.YCC or found.is_subsampled:
        raise _contradiction(told, "YCbCr")
    return False


def _contradiction(told: str, found: str) -> UndecodablePixels:
    return UndecodablePixels(f"Photometric Interpretation is {told[:16]!r}, but a frame says: {found}")
