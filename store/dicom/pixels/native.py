"""Where each frame lies in uncompressed Pixel Data, and how its samples lie there (PS3.5 §8, PS3.3 §C.7.6.3).

Frames follow each other without a gap, so those of single bits may begin within a byte, and in big endian those of an odd
size within a word: bytes of words of 16 bits are in reverse order there, whatever is in them (PS3.5 §6.2, OW).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, overload

from store.dicom.elements import Element
from store.dicom.pixels.description import Frame, NativeLayout, PixelDescription, UndecodablePixels
from store.dicom.uids import GE_BIG_ENDIAN_PIXELS

_WORDS: Final = {"OW": 2, "OB or OW": 2, "OF": 4, "OD": 8}  # VR -> size of a word, bytes
_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})


def describe_native(
    pixels: Element, described: PixelDescription, transfer_syntax: str, *, is_planar: bool, is_little: bool
) -> PixelDescription:
    """Return the description with the layout of the samples. Raises UndecodablePixels if there are not enough of them."""
    is_big = not is_little or transfer_syntax == GE_BIG_ENDIAN_PIXELS
    layout = NativeLayout(
        planar=is_planar and described.samples > 1,
        subsampled=_is_subsampled(pixels, described),
        word_bytes=_WORDS.get(pixels.vr, 1) if is_big else 1,
    )
    if layout.subsampled and (described.columns & 1 or described.bits_allocated != 8 or is_planar):
        raise UndecodablePixels(
            "Pixels that share their colours must be of 8 bits, by pixel, in an even number of columns"
        )
    described = replace(described, native=layout)
    needed = native_bytes(described)
    if pixels.length < needed:
        raise UndecodablePixels(f"Pixel Data has {pixels.length} bytes, {needed} are announced")
    return described


def _is_subsampled(pixels: Element, described: PixelDescription) -> bool:
    if described.photometric_interpretation not in _SUBSAMPLED:
        return False
    # Some writers give the label to what they have decoded, with all samples: pydicom and DCMTK take these as they are, too.
    whole = described.frames * described.frame_bytes
    if pixels.length > whole + 1:
        raise UndecodablePixels(
            "Pixel Data is longer than announced: whether pixels share their colours cannot be told"
        )
    return pixels.length < whole


class NativeFrames(Sequence[Frame]):
    """The frames of uncompressed pixels; each is found when it is asked for, for there may be very many."""

    def __init__(self, pixels: Element, described: PixelDescription) -> None:
        assert described.native is not None
        self._start = pixels.value
        self._end = pixels.value + pixels.length
        self._count = described.frames
        self._bits = _frame_bits(described)
        self._word_bytes = described.native.word_bytes

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Frame: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Frame]: ...
    def __getitem__(self, place: int | slice) -> Frame | Sequence[Frame]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(self._count))]
        if not 0 <= place < self._count:
            raise IndexError(place)
        word = 8 * self._word_bytes
        first, last = place * self._bits // word, -(-(place + 1) * self._bits // word)
        start = self._start + first * self._word_bytes
        end = min(self._start + last * self._word_bytes, self._end)
        return Frame(((start, end - start),), place * self._bits - first * word)


def native_bytes(described: PixelDescription) -> int:
    """Return how many bytes of Pixel Data are announced."""
    return -(-described.frames * _frame_bits(described) // 8)


def _frame_bits(described: PixelDescription) -> int:
    assert described.native is not None
    pixels = described.rows * described.columns
    return pixels * (16 if described.native.subsampled else described.samples * described.bits_allocated)
