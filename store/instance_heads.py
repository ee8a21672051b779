"""What shows the tags of a stored instance: the beginning of its file, up to Pixel Data."""

import mmap
from typing import Final

from events.received import ReceivedInstance
from store.blobs.store import BlobStore
from store.dicom.heads import HEADER_BYTES, can_end_at_pixels, end_at_pixels

HEAD_BYTES: Final = 4 << 20  # a longer one is read with all that follows


def read_head(blobs: BlobStore, instance: ReceivedInstance, *, whole: bool = True) -> bytes | mmap.mmap:
    """Return a DICOM file with the instance's dataset up to Pixel Data; of a compressed file no more is inflated.

    It is the whole file where nothing can be left out; `whole` as for `BlobStore.read_beginning`. Raises as `BlobStore.read_instance`.
    """
    offset = instance.pixel_data_offset
    if offset is None or offset > HEAD_BYTES or not can_end_at_pixels(instance.transfer_syntax):
        return blobs.read_instance(instance, whole=False)
    beginning = blobs.read_beginning(instance, offset + HEADER_BYTES, whole=whole)
    return end_at_pixels(beginning, offset, instance.transfer_syntax)
