"""The pixels of an instance: where they lie in its file, how they are to be shown, and the file itself, open."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from actors.services.codecs.messages import Request, Wanted
from actors.services.codecs.native import readable
from events.stored_file import StoredFile
from store.blobs.store import BlobStore
from store.dicom.elements import read_elements
from store.dicom.limits import large_datasets
from store.dicom.part10 import Part10, open_part10
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.image import Pixels, find_pixels
from store.dicom.pixels.transformation_reader import TransformationReader
from store.dicom.pixels.transformations import Transformations


class NoSuchFrame(UndecodablePixels):
    """An image has fewer frames than that."""


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
        elements = read_elements(part10.data, part10.start, part10.syntax)
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
        if frame is not None and not 0 <= frame < count:
            raise NoSuchFrame(f"There is no frame {frame}: the instance has {count}, counted from 0")
        shown: dict[int, Transformations] = {}
        last = None
        for each in range(count) if frame is None else [frame]:
            found = reader.of_frame(each)
            last = found if found != last else last  # equal ones are one
            shown[each] = last
        return Described(pixels, shown)


@contextmanager
def open_image(blobs: BlobStore, instance: StoredFile, frame: int | None) -> Iterator[tuple[Described, int, Part10]]:
    """Have an image, and its file as a descriptor. Raises as `describe_image` and `BlobStore.read_instance`."""
    data = blobs.read_instance(instance)
    part10 = open_part10(data)
    described = describe_image(part10, frame)
    reopen = None if part10.inflated else blobs.reopener(instance, data)
    opened = None if reopen is None else reopen()
    try:
        with readable(part10.data, opened) as file:
            yield described, file, part10
    finally:
        if opened is not None:
            opened.close()


@contextmanager
def lying_open(blobs: BlobStore, instance: StoredFile) -> Iterator[int]:
    """Have a descriptor of a file whose content lies in it as it is. Raises FileNotFoundError, if it is gone."""
    file = os.open(blobs.path(instance.blob), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
