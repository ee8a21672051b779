"""The frames of an instance's file as they are sent: as they lie there, or their pixels, decoded or encoded by a codec process.

Only what is asked for is read. Where the frames of a file lie is remembered: an image of 2,000 with groups of their own takes 0.1 s to be read,
and viewers ask for one frame after the other.
"""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from actors.services.codecs.messages import Request, Wanted
from actors.services.codecs.pool import CodecPool
from actors.services.images.image import NoSuchFrame, opened
from events.identifiers import BlobId
from events.stored_file import StoredFile
from store.blobs.store import BlobStore
from store.dicom.limits import large_datasets
from store.dicom.part10 import open_part10
from store.dicom.pixels.description import NativeLayout, UndecodablePixels
from store.dicom.pixels.encodable import most_codestream_bytes
from store.dicom.pixels.image import IMAGE_TAGS, Pixels, find_pixels, find_stream
from store.dicom.pixels.native import NativeFrames
from store.dicom.scan import scan_elements, wire_tag
from store.dicom.uids import VIDEO_SYNTAXES

_REMEMBERED: Final = 64  # files
_REMEMBERED_FRAMES: Final = 20_000  # of a compressed one; some 200 bytes each
_READ: Final = {wire_tag(tag): tag for tag in IMAGE_TAGS}
Bytes = bytes | memoryview
Check = Callable[[], None]


class RememberedPixels:
    """The pixels of the files that were asked for last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pixels: OrderedDict[BlobId, Pixels] = OrderedDict()

    def get(self, blob: BlobId) -> Pixels | None:
        with self._lock:
            if blob in self._pixels:
                self._pixels.move_to_end(blob)
            return self._pixels.get(blob)

    def add(self, blob: BlobId, pixels: Pixels) -> None:
        if not isinstance(pixels.frames, NativeFrames) and (
            sum(len(frame.extents) for frame in pixels.frames) > _REMEMBERED_FRAMES
        ):
            return
        with self._lock:
            self._pixels[blob] = pixels
            if len(self._pixels) > _REMEMBERED:
                self._pixels.popitem(last=False)


class ImageFrames:
    """The frames of one file; they are counted from 0."""

    def __init__(
        self,
        blobs: BlobStore,
        instance: StoredFile,
        remembered: RememberedPixels | None = None,
        *,
        has_streams: bool = False,
    ) -> None:
        """With `has_streams` a video is one frame, its stream. Raises UndecodablePixels, InvalidDicom, Busy, and as `BlobStore.read_instance`."""
        self._blobs = blobs
        self._instance = instance
        self._part10 = open_part10(blobs.read_instance(instance))
        pixels = None if remembered is None else remembered.get(instance.blob)
        if pixels is None:
            part10 = self._part10
            with large_datasets.scope():
                elements = scan_elements(part10.data, part10.start, part10.syntax, _READ)
                is_stream = has_streams and part10.transfer_syntax in VIDEO_SYNTAXES
                find = find_stream if is_stream else find_pixels
                pixels = find(part10, elements)
            if remembered is not None:
                remembered.add(instance.blob, pixels)
        self._pixels = pixels

    @property
    def count(self) -> int:
        return len(self._pixels.frames)

    @property
    def transfer_syntax(self) -> str:
        return self._pixels.transfer_syntax

    def refuse_others(self, frames: Sequence[int], *, counted_from: int = 0) -> None:
        """Raise NoSuchFrame where one is not there; it names frames as the client counts them."""
        for frame in frames:
            if not 0 <= frame < self.count:
                raise NoSuchFrame(
                    f"There is no frame {frame + counted_from}: the instance has {self.count}, counted from {counted_from}"
                )

    def as_stored(self, frame: int) -> Bytes:
        """Return a frame's bytes: compressed as they lie there, or in little endian. Raises UndecodablePixels."""
        found, data = self._pixels.frames[frame], memoryview(self._part10.data)
        views = [data[start : start + length] for start, length in found.extents]
        lying = views[0] if len(views) == 1 else b"".join(views)
        described = self._pixels.described
        layout = described.native
        if layout is None:
            return lying
        bits = described.rows * described.columns
        bits *= 16 if layout.subsampled else described.samples * described.bits_allocated
        return _cut(_little_endian(lying, layout), found.skipped_bits, bits)

    def decode(self, codecs: CodecPool, frame: int, check: Check = lambda: None) -> Bytes:
        """Return a frame's pixels, color by pixel and in little endian; native ones as they lie there. Raises UndecodablePixels, Busy, and what `check` raises."""
        if self._pixels.described.native is not None:
            return self.as_stored(frame)
        with self._opened() as file, codecs.lease(check) as codec:
            pixels, _ = codec.decode(self._request(Wanted.NATIVE, frame), file)
            with pixels:
                return bytes(pixels)

    def encode(
        self, codecs: CodecPool, frame: int, transfer_syntax: str, quality: int, check: Check = lambda: None
    ) -> Bytes:
        """Return a frame's codestream in another transfer syntax. Raises UnfitPixels, and as `decode`."""
        request = self._request(Wanted.CODESTREAM, frame, transfer_syntax, quality)
        with self._opened() as file, codecs.lease(check) as codec:
            codestream, _ = codec.make(request, file, most_codestream_bytes(self._pixels.described))
            with codestream:
                return bytes(codestream)

    def _request(self, wanted: Wanted, frame: int, *parameters: object) -> Request:
        pixels = self._pixels
        return Request(
            wanted=wanted,
            transfer_syntax=pixels.transfer_syntax,
            frame=pixels.frames[frame],
            described=pixels.described,
            parameters=parameters,
        )

    def _opened(self) -> AbstractContextManager[int]:
        return opened(self._blobs, self._instance, self._part10)


def read_raw(blobs: BlobStore, instance: StoredFile, frame: int) -> tuple[bytes, str]:
    """Return the bytes of a frame and the transfer syntax in which they are: compressed, or in little endian.

    Raises NoSuchFrame, and as `ImageFrames`.
    """
    frames = ImageFrames(blobs, instance)
    frames.refuse_others([frame])
    return bytes(frames.as_stored(frame)), frames.transfer_syntax


def _little_endian(data: Bytes, layout: NativeLayout) -> Bytes:
    if layout.word_bytes == 1:
        return data
    whole = len(data) // layout.word_bytes * layout.word_bytes
    words = array({2: "H", 4: "I", 8: "Q"}[layout.word_bytes], bytes(data[:whole]))
    words.byteswap()
    return words.tobytes()


def _cut(data: Bytes, skipped_bits: int, bits: int) -> Bytes:
    """Return so many bits from a place on, as whole bytes. Raises UndecodablePixels."""
    if skipped_bits + bits > 8 * len(data):
        raise UndecodablePixels("The file of an instance ends before its pixels do")
    if not skipped_bits % 8 and not bits % 8:
        start = skipped_bits // 8
        end = start + bits // 8
        return data if (start, end) == (0, len(data)) else data[start:end]
    number = int.from_bytes(data, "little") >> skipped_bits & (1 << bits) - 1
    return number.to_bytes((bits + 7) // 8, "little")
