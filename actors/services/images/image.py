"""The pixels of an instance: where they lie in its file, how they are to be shown, and the file itself, open."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from actors.services.codecs.messages import Request, Wanted
from actors.services.codecs.native import readable
from actors.services.images.known import Known
from events.stored_file import StoredFile
from store.blobs.store import BlobStore
from store.dicom.limits import large_datasets
from store.dicom.part10 import Part10, open_part10
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.image import IMAGE_TAGS, Pixels, find_pixels
from store.dicom.pixels.transformation_reader import TRANSFORMATION_TAGS, TransformationReader
from store.dicom.pixels.transformations import Transformations
from store.dicom.scan import scan_elements, wire_tag

_READ: Final = {wire_tag(tag): tag for tag in IMAGE_TAGS | TRANSFORMATION_TAGS}
_MOST_FRAGMENTS: Final = 8  # of an image that is remembered


class NoSuchFrame(UndecodablePixels):
    """An image has fewer frames than that."""


class TooManyPixels(UndecodablePixels):
    """A picture would be enlarged beyond all screens."""


class NoSuchPart(UndecodablePixels):
    """A part of a picture that is wanted lies beyond its edges."""


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of an image without its file; `shown` says it of those frames that were asked for."""

    pixels: Pixels
    shown: Mapping[int, Transformations]

    def request(self, wanted: Wanted, frame: int, *parameters: object) -> Request:
        """Return what a codec's process is asked for."""
        return Request(
            wanted=wanted,
            transfer_syntax=self.pixels.transfer_syntax,
            frame=self.pixels.frames[frame],
            described=self.pixels.described,
            parameters=parameters,
        )


def describe_image(part10: Part10, frame: int | None) -> Described:
    """Describe an image, and how one of its frames, or each, is to be shown. Raises UndecodablePixels, InvalidDicom, Busy.

    Elements are held during this alone: a dataset of very many would keep others of that kind waiting for a codec.
    """
    with large_datasets.scope():
        elements = scan_elements(part10.data, part10.start, part10.syntax, _READ)
        pixels = find_pixels(part10, elements)
        described = pixels.described
        reader = TransformationReader(
            part10.data,
            elements,
            little=part10.syntax.little,
            signed=described.signed,
            is_palette=described.photometric_interpretation == "PALETTE COLOR",
        )
        count = len(pixels.frames)
        _refuse_beyond(frame, count)
        shown: dict[int, Transformations] = {}
        last = None
        for each in range(count) if frame is None else [frame]:
            found = reader.of_frame(each)
            last = found if found != last else last  # equal ones are one
            shown[each] = last
        return Described(pixels, shown)


def _refuse_beyond(frame: int | None, count: int) -> None:
    if frame is not None and not 0 <= frame < count:
        raise NoSuchFrame(f"There is no frame {frame}: the instance has {count}, counted from 0")


_known: Final = Known[Described]()


def read_image(blobs: BlobStore, instance: StoredFile, frame: int | None) -> tuple[Described, Part10 | None]:
    """Describe the image of an instance, and return what it was read from, unless that lies in the file as it is.

    Raises as `describe_image` and `BlobStore.read_instance`.
    """
    if (known := _known.get(blobs, instance)) is not None:
        _refuse_beyond(frame, len(known.pixels.frames))
        return known, None
    part10 = open_part10(blobs.read_instance(instance))
    image = describe_image(part10, frame)
    if part10.inflated or instance.compression:
        return image, part10
    if _is_small(image):
        _known.keep(blobs, instance, image)
    return image, None


def _is_small(image: Described) -> bool:
    """Tell whether all that is known of an image takes some 2 kB."""
    frames, shown = image.pixels.frames, image.shown.get(0)
    if len(frames) != 1 or shown is None or len(frames[0].extents) > _MOST_FRAGMENTS:
        return False
    return shown.modality is None and shown.voi is None and shown.palette is None


@contextmanager
def opened(blobs: BlobStore, instance: StoredFile, part10: Part10 | None) -> Iterator[int]:
    """Have a descriptor for codec processes of what an image was read from; without it, of a file whose content lies in it as it is.

    Raises FileNotFoundError, if the file is gone.
    """
    if part10 is None or (not part10.inflated and not instance.compression):
        file = os.open(blobs.path(instance.blob), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield file
        finally:
            os.close(file)
        return
    reopen = None if part10.inflated else blobs.reopener(instance, part10.data)  # type: ignore[arg-type] # it is what was read
    with ExitStack() as held:
        yield held.enter_context(readable(part10.data, held.enter_context(reopen()) if reopen else None))
