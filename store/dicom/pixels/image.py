"""The pixels of a file: what they are, and where each frame lies, compressed or not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from store.dicom import tags
from store.dicom.elements import Element
from store.dicom.part10 import Part10
from store.dicom.pixels.description import Frame, NoPixels, PixelDescription, UndecodablePixels
from store.dicom.pixels.frames import find_frames
from store.dicom.pixels.image_module import FLOATING, MODULE_TAGS, describe_pixels, is_planar
from store.dicom.pixels.native import NativeFrames, describe_native, native_bytes

IMAGE_TAGS: Final = MODULE_TAGS | {tags.EXTENDED_OFFSET_TABLE}  # of the elements that `find_pixels` looks at
MOST_FRAMES: Final = 1_000_000  # of an image; those of a slide at 40 times are some 100,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """What a codec process needs to know of a file; extents are in `Part10.data`."""

    transfer_syntax: str
    described: PixelDescription
    frames: Sequence[Frame]
    excess_bytes: int = 0  # of uncompressed Pixel Data, behind the frames


def find_pixels(part10: Part10, elements: Sequence[Element]) -> Pixels:
    """Find the pixels of a file of which `elements` are the dataset. Raises UndecodablePixels."""
    data, little = part10.data, part10.syntax.little
    holder = _element(elements)
    described = describe_pixels(data, elements, little=little)
    if described.frames > MOST_FRAMES:
        raise UndecodablePixels(f"{described.frames} frames are announced; up to {MOST_FRAMES} can be had")
    frames: Sequence[Frame]
    excess = 0
    if part10.syntax.encapsulated:
        frames = find_frames(data, elements, described.frames)
    else:
        if holder.fragments is not None:
            raise UndecodablePixels("Pixel Data is in fragments, in an uncompressed transfer syntax")
        described = describe_native(
            holder,
            described,
            part10.transfer_syntax,
            is_planar=is_planar(data, elements, little=little),
            is_little=little,
        )
        frames = NativeFrames(holder, described)
        excess = holder.length - native_bytes(described)
    return Pixels(transfer_syntax=part10.transfer_syntax, described=described, frames=frames, excess_bytes=excess)


def find_stream(part10: Part10, elements: Sequence[Element]) -> Pixels:
    """Find the stream of a video, all fragments together, as its one frame. Raises UndecodablePixels."""
    fragments = _element(elements).fragments
    if not fragments or len(fragments) < 2:
        raise UndecodablePixels("The instance has no stream")
    described = replace(describe_pixels(part10.data, elements, little=part10.syntax.little), frames=1)
    return Pixels(transfer_syntax=part10.transfer_syntax, described=described, frames=(Frame(fragments[1:]),))


def _element(elements: Sequence[Element]) -> Element:
    for tag in (tags.PIXEL_DATA, *FLOATING):
        for element in elements:
            if element.tag == tag:
                return element
    raise NoPixels("The instance has no Pixel Data")
