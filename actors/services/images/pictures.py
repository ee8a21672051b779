"""One frame as a picture, or as text for Matlab."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from actors.services.codecs.messages import Wanted
from actors.services.codecs.pool import CodecPool
from actors.services.images.image import NoSuchPart, TooManyPixels, opened, read_image
from events.stored_file import StoredFile
from store.blobs.store import BlobStore
from store.dicom.pixels.transformations import Rendition, Transformations, Window

GIF: Final = "image/gif"
MOST_ENLARGED_PIXELS: Final = 8192 * 4096  # a screen of 8K has as many; a small image must not cost any memory
_OVERHEAD_BYTES = 1 << 16  # of a format
_NUMBER_BYTES = 26  # of a number as text, at most

Check = Callable[[], None]


def make_picture(
    codecs: CodecPool,
    blobs: BlobStore,
    instance: StoredFile,
    frame: int,
    wanted: Rendition,
    window: Window | tuple[float | None, float | None] = (None, None),
    check: Check = lambda: None,
) -> bytes:
    """Return a picture of a frame; `window`, or those of (center, width) that are told, takes the place of what the instance says.

    `check` is called before and while all codec processes are at work, and what it raises ends the wait.
    Raises NoSuchFrame, NoSuchPart, UndecodablePixels, InvalidDicom, Busy, and as `BlobStore.read_instance`.
    """
    image, part10 = read_image(blobs, instance, frame)
    described = image.pixels.described
    shown = _with_window(image.shown[frame], window, described.bits_stored)
    if wanted.kind == "shown":
        wanted = replace(wanted, kind="preview" if shown.window is None and shown.voi is None else "rendered")
    rows, columns = wanted.fitted(described.rows, described.columns)
    if not rows * columns:
        raise NoSuchPart(f"The part lies beyond the picture's {described.columns} × {described.rows} pixels")
    if rows * columns > max(described.rows * described.columns, MOST_ENLARGED_PIXELS):
        raise TooManyPixels(
            f"A picture may be enlarged to {MOST_ENLARGED_PIXELS} pixels, and {columns} × {rows} are more"
        )
    has_colours = described.samples > 1 or shown.palette is not None
    depth = 3 if has_colours else 2 if wanted.kind in {"image-uint16", "image-int16"} else 1
    if wanted.media_type == GIF:
        depth = max(depth, 2)  # its compression lets noise grow by half
    most = rows * columns * depth  # what zlib cannot make smaller grows by a thousandth
    request = image.request(Wanted.PICTURE, frame, wanted.pack(), shown.pack())
    with opened(blobs, instance, part10) as file, codecs.lease(check) as codec:
        made, _ = codec.make(request, file, most + most // 100 + _OVERHEAD_BYTES)
        with made:
            return bytes(made)


def _with_window(
    shown: Transformations, told: Window | tuple[float | None, float | None], bits: int
) -> Transformations:
    """Where one of the two numbers is told, the other is the instance's, or the one for all values that its bits have."""
    if isinstance(told, Window):
        return replace(shown, window=told)
    center, width = told
    if center is None and width is None:
        return shown
    own = shown.window or Window(float(1 << bits - 1), float(1 << bits))
    return replace(
        shown,
        window=own._replace(
            center=own.center if center is None else center, width=own.width if width is None else width
        ),
    )


def make_matlab(
    codecs: CodecPool, blobs: BlobStore, instance: StoredFile, frame: int, check: Check = lambda: None
) -> bytes:
    """Return a frame as an expression of Octave and Matlab. Raises as `make_picture`."""
    image, part10 = read_image(blobs, instance, frame)
    described = image.pixels.described
    most = described.rows * described.columns * 3 * _NUMBER_BYTES + _OVERHEAD_BYTES
    request = image.request(Wanted.MATLAB, frame, image.shown[frame].pack())
    with opened(blobs, instance, part10) as file, codecs.lease(check) as codec:
        made, _ = codec.make(request, file, most)
        with made:
            return bytes(made)
