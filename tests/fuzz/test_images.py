"""Mutated images are asked for pictures, arrays and numbers: a codec's process decides, and what it gives has the size that was promised."""

import os
import random
import weakref
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
import pytest

from actors.services.codecs.messages import Wanted
from actors.services.codecs.pool import CodecPool
from actors.services.images.frames import read_raw
from actors.services.images.image import opened, read_image
from actors.services.images.pictures import make_matlab, make_picture
from events.errors import InvalidDicom
from events.stored_file import StoredFile
from store.blobs.store import BlobStore
from store.dicom.pixels.arrays import array_header
from store.dicom.pixels.transformations import Rendition
from tests.fuzz.mutation import SEED
from tests.fuzz.pixel_inputs import make_input
from tests.fuzz.test_pixels import outcomes_of

INPUTS: Final = int(os.environ.get("SINOGRAM_FUZZ_INPUTS", "100"))
PARTS: Final = 2
KINDS: Final = ("preview", "rendered", "rendered", "image-uint8", "image-uint16", "image-int16")
PNG, JPEG, PAM = "image/png", "image/jpeg", "image/x-portable-arbitrarymap"
WINDOWS: Final = ((None, None), (None, None), (40.0, 400.0), (None, 0.0), (1e308, None), (-1e308, 1e308), (0.0, -1.0))

ANY: Final = cast("StoredFile", SimpleNamespace(blob=None, compression=None))  # of a store with one file


class OneFile:
    """A store that holds one file."""

    root = Path()

    def __init__(self, file: bytes) -> None:
        self._file = file
        self._opened = os.memfd_create("file")
        os.write(self._opened, file)
        weakref.finalize(self, os.close, self._opened)

    def read_instance(self, _instance: StoredFile) -> bytes:
        return self._file

    def is_as_found(self, _instance: StoredFile) -> bool:
        return False  # each is another one

    def path(self, _blob: object) -> Path:
        return Path(f"/proc/self/fd/{self._opened}")


def _store(file: bytes) -> BlobStore:
    return cast("BlobStore", OneFile(file))


def _rendition(chance: random.Random) -> Rendition:
    kind = chance.choice(KINDS)
    is_rendered = kind == "rendered"
    return Rendition(
        kind=kind,
        media_type=chance.choice((PNG, PAM, JPEG) if kind in {"preview", "rendered", "image-uint8"} else (PNG, PAM)),
        quality=chance.choice((1, 90, 100)),
        width=chance.choice((0, 0, 1, 13, 200)) if is_rendered else 0,
        height=chance.choice((0, 0, 1, 17, 100)) if is_rendered else 0,
        smooth=is_rendered and chance.random() < 0.5,
    )


def _shape(picture: bytes, media_type: str) -> tuple[int, ...]:
    library: Any = import_module("imagecodecs")
    if media_type == PAM:
        told = dict(line.split(" ") for line in picture[: picture.index(b"ENDHDR")].decode().splitlines()[1:])
        rows, columns, depth = (int(told[name]) for name in ("HEIGHT", "WIDTH", "DEPTH"))
        width = 1 if told["MAXVAL"] == "255" else 2
        assert len(picture) == picture.index(b"ENDHDR") + 7 + rows * columns * depth * width
        return rows, columns
    decode = library.png_decode if media_type == PNG else library.jpeg8_decode
    shape: tuple[int, ...] = decode(picture).shape
    return shape[:2]


def _picture(codecs: CodecPool, file: bytes, sound: bytes | None, chance: random.Random) -> None:
    wanted, window = _rendition(chance), chance.choice(WINDOWS)
    made = make_picture(codecs, _store(file), ANY, 0, wanted, window)
    described = read_image(_store(file), ANY, 0)[0].pixels.described
    assert _shape(made, wanted.media_type) == wanted.fitted(described.rows, described.columns)
    assert sound is None or made == make_picture(codecs, _store(sound), ANY, 0, wanted, window)


def _array(codecs: CodecPool, file: bytes, sound: bytes | None, chance: random.Random) -> None:
    rescales = chance.random() < 0.5
    frames = _arrays(codecs, file, rescales=rescales)
    assert sound is None or frames == _arrays(codecs, sound, rescales=rescales)


def _arrays(codecs: CodecPool, file: bytes, *, rescales: bool) -> list[bytes]:
    made = []
    store = _store(file)
    image, part10 = read_image(store, ANY, None)
    header = array_header(image.pixels.described, None, rescales=rescales)
    told = eval(header[10:])  # our own; NumPy reads it likewise
    size = int(np.prod(told["shape"])) * np.dtype(told["descr"]).itemsize
    with opened(store, ANY, part10) as descriptor:
        for frame in range(len(image.pixels.frames)):
            request = image.request(Wanted.ARRAY, frame, rescales, image.shown[frame].pack())
            with codecs.lease() as codec:
                array, _ = codec.make(request, descriptor, size)
                with array:
                    assert len(array) == size
                    made.append(bytes(array))
    return made


def _matlab(codecs: CodecPool, file: bytes, sound: bytes | None, _chance: random.Random) -> None:
    text = make_matlab(codecs, _store(file), ANY, 0)
    described = read_image(_store(file), ANY, 0)[0].pixels.described
    depth = 3 if described.samples == 3 or described.photometric_interpretation == "PALETTE COLOR" else 1
    numbers = text.replace(b"double([ ", b"").replace(b"double(permute(reshape([ ", b"").split(b"]")[0].split()
    assert len(numbers) - numbers.count(b";") == described.rows * described.columns * depth
    assert sound is None or text == make_matlab(codecs, _store(sound), ANY, 0)


def _raw(_codecs: CodecPool, file: bytes, _sound: bytes | None, _chance: random.Random) -> None:
    data, _ = read_raw(_store(file), ANY, 0)
    described = read_image(_store(file), ANY, 0)[0].pixels.described
    if (layout := described.native) is not None:
        bits = 16 if layout.subsampled else described.samples * described.bits_allocated
        assert len(data) == (described.rows * described.columns * bits + 7) // 8


ASKED: Final[tuple[Callable[[CodecPool, bytes, bytes | None, random.Random], None], ...]] = (
    *(_picture, _picture, _array, _array, _matlab, _raw),
)


def check(codecs: CodecPool, number: int) -> bool:
    """Ask for something of an input; returns whether it could be had."""
    made, sound = make_input(SEED, number)
    chance = random.Random(f"{SEED}/{number}/asked")
    try:
        chance.choice(ASKED)(codecs, made.encode(), sound if made.is_only_cut else None, chance)
    except InvalidDicom:
        return False
    return True


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(0 if INPUTS > 10_000 else 300)
def test_what_is_made_of_an_image_has_the_size_that_was_promised(part: int) -> None:
    outcomes = outcomes_of(part, check)
    assert any(outcomes)
    assert not all(outcomes)
