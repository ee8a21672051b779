"""The frames of a file as native pixels, one behind the other, into a place of the caller's."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from actors.services.codecs.messages import Request, Wanted
from actors.services.codecs.pool import CodecPool
from store.dicom.elements import Buffer
from store.dicom.mapped import LET_GO_BYTES, let_go
from store.dicom.pixels.description import Frame, PixelDescription, UndecodablePixels


def decode_frames(
    codecs: CodecPool,
    file: int,
    transfer_syntax: str,
    described: PixelDescription,
    frames: Sequence[Frame],
    place: Callable[[str], memoryview],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Decode all frames of a file that is open as a descriptor.

    `place` is told the photometric interpretation of the pixels, once the first frame is decoded, and returns where all go;
    `check` is called before each frame, and what it raises ends the work. Raises UndecodablePixels, Busy.
    """
    size = described.frame_bytes
    target: memoryview | None = None
    first = ""
    held = 0  # up to where the place, if it is a map, has been let go
    for number, frame in enumerate(frames):
        request = Request(wanted=Wanted.NATIVE, transfer_syntax=transfer_syntax, frame=frame, described=described)
        with codecs.lease(check) as codec:
            pixels, photometric_interpretation = codec.decode(request, file)
            with pixels:
                if target is None:
                    first = photometric_interpretation
                    target = place(first)
                if photometric_interpretation != first:
                    raise UndecodablePixels("The frames of an image have different colour spaces")
                target[number * size : (number + 1) * size] = pixels
        if (number + 1) * size - held >= LET_GO_BYTES:
            let_go(target)
            held = (number + 1) * size


@contextmanager
def readable(data: Buffer, opened: BinaryIO | None) -> Iterator[int]:
    """Have a descriptor of what `data` shows: that of the file, or a copy in memory where there is none."""
    if opened is not None:
        yield opened.fileno()
        return
    fd = os.memfd_create("instance", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view.nbytes:
            view = view[os.write(fd, view) :]
        yield fd
    finally:
        os.close(fd)
