"""Mutated images, compressed or not, become pictures, arrays and text, or an error: nothing else, and nothing dies but a codec's process.

As `test_pixels`: the same seed, number and length of the run. What is compressed are its inputs; in what is not, bytes of headers, tables, windows and
functional groups are changed, too.
"""

import random
from importlib import import_module
from typing import Any, Final

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from actors.services.codecs.limits import CodecSettings
from actors.services.codecs.messages import Wanted
from actors.services.codecs.native import readable
from actors.services.codecs.pool import CodecPool
from actors.services.images.image import Described, describe_image
from events.errors import InvalidDicom
from store.dicom.part10 import open_part10
from store.dicom.pixels.arrays import array_bytes
from store.dicom.pixels.transformations import Rendition
from tests.fuzz.test_pixels import INPUTS, SEED, _descriptors, make_input
from tests.native_pixels import BIG, EXPLICIT, IMPLICIT, LAYOUTS

PARTS: Final = 4
KINDS: Final = ("preview", "rendered", "image-uint8", "image-int16")
ROOM: Final = 1 << 22
_PALETTE: Final = {
    **{f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")},
    **{f"{name}PaletteColorLookupTableData": bytes(512) for name in ("Red", "Green")},
    "SegmentedBluePaletteColorLookupTableData": b"\0\0\2\0\1\0\2\0\1\0\xfd\0\7\0\2\0\1\0\0\0\0\0",
}


def _groups() -> dict[str, Any]:
    voi, values, group, lut = Dataset(), Dataset(), Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth = "100", "50"
    values.RescaleSlope, values.RescaleIntercept = "2", "-5"
    group.FrameVOILUTSequence, group.PixelValueTransformationSequence = Sequence([voi]), Sequence([values])
    lut.LUTDescriptor, lut.LUTData = [4, 1, 16], b"\1\0\5\0\7\0\xff\xff"
    lut["LUTDescriptor"].VR, lut["LUTData"].VR = "US", "OW"
    return {
        "PerFrameFunctionalGroupsSequence": Sequence([group]),
        "ModalityLUTSequence": Sequence([lut]),
        "VOILUTSequence": Sequence([lut]),
    }


def native_input(chance: random.Random) -> bytes:
    """A file with uncompressed pixels of which some bytes were changed."""
    native = LAYOUTS[chance.choice(list(LAYOUTS))]
    attributes = {**(_PALETTE if native.label == "PALETTE COLOR" else {}), **chance.choice(({}, {}, _groups()))}
    data = bytearray(native.file(chance.choice((EXPLICIT, IMPLICIT, BIG)), **attributes))
    for _ in range(chance.choice((0, 1, 1, 3, 10))):
        data[chance.randrange(132, len(data))] = chance.choice(
            (0, 1, 2, 8, 16, 0x7F, 0x80, 0xFF, chance.randrange(256))
        )
    if chance.random() < 0.2:
        del data[chance.randrange(200, len(data)) :]
    return bytes(data)


def check(codecs: CodecPool, number: int) -> bool:
    """Make all that can be made of an input; returns whether something could be."""
    chance = random.Random(f"images/{SEED}/{number}")
    data = native_input(chance) if number % 2 else make_input(SEED, number)[0].encode()
    told = f"input {number} of seed {SEED}"
    try:
        part10 = open_part10(data)
        image = describe_image(part10, None)
    except InvalidDicom:
        return False
    frame = chance.randrange(len(image.pixels.frames))
    with readable(part10.data, None) as file:
        made = [_picture(codecs, image, frame, kind, file, told) for kind in KINDS]
        made.append(_array(codecs, image, frame, file, told))
    return any(made)


def _picture(codecs: CodecPool, image: Described, frame: int, kind: str, file: int, told: str) -> bool:
    described = image.pixels.described
    wanted = Rendition(kind=kind, media_type="image/png", width=50 if kind == "rendered" else 0, smooth=True)
    request = image.request(Wanted.PICTURE, frame, wanted.pack(), image.shown[frame].pack())
    try:
        with codecs.lease() as codec, codec.make(request, file, ROOM)[0] as made:
            picture = import_module("imagecodecs").png_decode(bytes(made))
    except InvalidDicom:
        return False
    assert picture.shape[:2] == wanted.fitted(described.rows, described.columns), told
    return True


def _array(codecs: CodecPool, image: Described, frame: int, file: int, told: str) -> bool:
    request = image.request(Wanted.ARRAY, frame, True, image.shown[frame].pack())
    try:
        with codecs.lease() as codec, codec.make(request, file, ROOM)[0] as made:
            size = len(np.frombuffer(bytes(made), "u1"))
    except InvalidDicom:
        return False
    assert size == array_bytes(image.pixels.described, rescales=True), told
    return True


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(0 if INPUTS > 10_000 else 300)
def test_nothing_dies_but_a_codec_and_what_is_made_is_whole(part: int) -> None:
    codecs = CodecPool(CodecSettings(processes=1, timeout_s=20, memory_mb=1024))
    before = _descriptors()
    try:
        outcomes = [check(codecs, number) for number in range(part, INPUTS, PARTS)]
    finally:
        codecs.close()
    assert any(outcomes)
    assert not all(outcomes)
    assert _descriptors() == before
