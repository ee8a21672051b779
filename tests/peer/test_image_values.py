"""Values of images against decoders that share no code with ours: pydicom's, DCMTK's, GDCM's, and OpenJPH for HTJ2K."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from actors.services.codecs.messages import Wanted
from actors.services.codecs.native import readable
from actors.services.codecs.pool import CodecPool
from actors.services.images.image import describe_image
from events.errors import InvalidDicom
from store.dicom.part10 import open_part10
from store.dicom.pixels.arrays import array_bytes, array_type
from tests.dicom_bytes import Sample
from tests.image_files import field_images, made_images
from tests.native_pixels import BIG

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:The pixel data is:UserWarning"),
    pytest.mark.skipif(
        shutil.which("dcmdjpeg") is None or shutil.which("gdcmconv") is None,
        reason="DCMTK's and GDCM's tools are not installed (Debian: dcmtk, libgdcm-tools)",
    ),
]

FAMILY = "1.2.840.10008.1.2.4."
TOOLS = {
    **dict.fromkeys((FAMILY + number for number in ("50", "51", "57", "70")), ("dcmdjpeg",)),
    **dict.fromkeys((FAMILY + number for number in ("80", "81")), ("dcmdjpls",)),
    **dict.fromkeys((FAMILY + number for number in ("90", "91")), ("gdcmconv", "--raw")),
    "1.2.840.10008.1.2.5": ("dcmdrle",),
    # pydicom turns the bytes of samples around, not those of words: only words are in reverse order (PS3.5 §6.2, OW).
    BIG: ("dcmconv", "+te"),
    "": ("dcmconv", "+te"),
}
# Of JPEG XL there is one decoder, libjxl, which is ours: what it gives is held against what was encoded (`tests/contract/test_round_trips.py`).
ALONE = frozenset(FAMILY + number for number in ("110", "111", "112"))
HTJ2K = frozenset(FAMILY + number for number in ("201", "202", "203"))
CHOSEN = (
    *("emri_small.dcm", "693_J2KR.dcm", "JPEG2000.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_jls_lossy_line.dcm"),
    *("MR_small_RLE.dcm", "MR_small_bigendian.dcm", "examples_palette.dcm", "SC_ybr_full_422_uncompressed.dcm"),
    *("JPGExtended.dcm", "liver.dcm", "parametric_map_float.dcm", "image_dfl.dcm", "rtdose_1frame.dcm", "JPEG-LL.dcm"),
)  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[CodecPool]:
    made = CodecPool()
    yield made
    made.close()


def ours(pool: CodecPool, file: bytes) -> Any:
    """The values of all frames: `frames, rows, columns, samples`. Raises InvalidDicom."""
    part10 = open_part10(file)
    image = describe_image(part10, None)
    described = image.pixels.described
    code, depth = array_type(described, rescales=False)
    frames = []
    with readable(part10.data, None) as opened, pool.lease() as codec:
        for frame in range(described.frames):
            request = image.request(Wanted.ARRAY, frame, False, image.shown[frame].pack())
            made, _ = codec.make(request, opened, array_bytes(described, rescales=False))
            with made:
                frames.append(np.frombuffer(bytes(made), code))
    return np.stack(frames).reshape(described.frames, described.rows, described.columns, depth)


def theirs(file: bytes, folder: Path) -> Any:
    """The same by other decoders. Raises what they do."""
    made = pydicom.dcmread(BytesIO(file), force=True)
    syntax = str(made.file_meta.get("TransferSyntaxUID", ""))
    if syntax in HTJ2K:
        count = int(made.get("NumberOfFrames") or 1)
        frames = generate_frames(made.PixelData, number_of_frames=count)
        values = np.stack([import_module("imagecodecs").htj2k_decode(frame) for frame in frames])
        return _stored(values, made).reshape(count, made.Rows, made.Columns, made.SamplesPerPixel)
    if syntax in TOOLS:
        source, target = folder / "source.dcm", folder / "target.dcm"
        source.write_bytes(file)
        subprocess.run([*TOOLS[syntax], source, target], check=True, capture_output=True, timeout=60)
        made = pydicom.dcmread(target)
    values = pixel_array(made, raw=False)
    if made.PhotometricInterpretation == "PALETTE COLOR":
        bits = made.RedPaletteColorLookupTableDescriptor[2]
        values = (apply_color_lut(values, made) >> (8 if bits > 8 else 0)).astype("u1")
        return values.reshape(int(made.get("NumberOfFrames") or 1), made.Rows, made.Columns, 3)
    if made.BitsAllocated == 1:
        values = values * 255
    values = _stored(values, made)
    return values.reshape(int(made.get("NumberOfFrames") or 1), made.Rows, made.Columns, made.SamplesPerPixel)


def _stored(values: Any, made: Dataset) -> Any:
    """The stored bits of samples, with their sign (PS3.5 §8.1.1)."""
    if values.dtype.kind == "f" or made.BitsAllocated in {1, made.BitsStored}:
        return values
    shift, mask = made.HighBit + 1 - made.BitsStored, (1 << made.BitsStored) - 1
    whole = values.astype("i8") >> shift & mask
    if made.PixelRepresentation:
        whole = np.where(whole >> (made.BitsStored - 1), whole - mask - 1, whole)
    return whole


def compare(pool: CodecPool, samples: Sequence[Sample], folder: Path) -> tuple[int, list[str]]:
    """How many images are the same in all decoders, and in what others are not."""
    same, others = 0, []
    for sample in samples:
        try:
            if open_part10(sample.data).transfer_syntax in ALONE:
                continue
            values = ours(pool, sample.data)
        except InvalidDicom:
            continue
        with pydicom_config.disable_value_validation():
            try:
                expected = theirs(sample.data, folder)
            except Exception as exc:  # noqa: BLE001 # decoders of others, each with errors of its own
                others.append(f"{sample.name}: no other decoder: {type(exc).__name__} {exc}"[:200])
                continue
        # Of YBR each decoder rounds in its own way.
        most = 1 if values.shape[-1] == 3 else 0
        if values.shape != expected.shape or not _is_near(values, expected, most):
            others.append(f"{sample.name}: other values, {values.shape} {values.dtype}, {expected.shape}")
        else:
            same += 1
    return same, others


def _is_near(values: Any, expected: Any, most: int) -> bool:
    if values.dtype.kind == "f":
        return bool(np.array_equal(values, expected, equal_nan=True))
    return bool(abs(values.astype("i8") - expected.astype("i8")).max() <= most)


def test_chosen_values_are_those_of_other_decoders(pool: CodecPool, tmp_path: Path) -> None:
    samples = [sample for sample in field_images() if sample.name in CHOSEN]
    same, others = compare(pool, samples, tmp_path)
    assert not others
    assert same == len(samples) > 5


@pytest.mark.nightly
def test_all_values_are_those_of_other_decoders(pool: CodecPool, tmp_path: Path) -> None:
    same, others = compare(pool, (*field_images(), *made_images()), tmp_path)
    assert not others
    assert same >= 150
