"""Decoded pixels against DCMTK's: what its tools compress and decompress, and files of others in every syntax it knows."""

import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.targets import CannotTranscode
from store.dicom.uids import EXPLICIT_LE
from tests.data_factory import shipped_files
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.pixel_files import BASELINE, ENCODERS, JPEG_LS, LOSSLESS, LOSSLESS_SV1, RLE, color, gray, pixel_file
from tests.transcoded import transcode

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="DCMTK's tools are not installed (Debian: dcmtk)"),
]

DECODERS = {RLE: "dcmdrle", JPEG_LS: "dcmdjpls", "1.2.840.10008.1.2.4.81": "dcmdjpls"}
SHIPPED = {sample.name: sample.data for sample in shipped_files()}
# Files that pydicom ships, with the tool of DCMTK that decodes them.
COMPRESSED = (
    *(
        "MR_small_RLE.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_rle_2frame.dcm",
        "rtdose_rle.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ),
    *(
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_jls_lossy_sample.dcm",
        "JPEGLSNearLossless_16.dcm",
        "JPGExtended.dcm",
        "JPEG-lossy.dcm",
    ),
    *(
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
    ),
    *(
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_small_odd_jpeg.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_jpeg_no_color_transform.dcm",
    ),
)


@pytest.fixture(scope="module")
def pool() -> Iterator[CodecPool]:
    made = CodecPool()
    yield made
    made.close()


def by_dcmtk(tool: list[str], file: bytes, folder: Path) -> bytes:
    """What a tool of DCMTK makes of a file. Raises CalledProcessError."""
    source, target = folder / "source.dcm", folder / "target.dcm"
    source.write_bytes(file)
    subprocess.run([*tool, source, target], check=True, capture_output=True)
    return target.read_bytes()


def pixels(made: Dataset) -> bytes:
    """The pixels, color by pixel."""
    samples = made.Rows * made.Columns * made.SamplesPerPixel * int(made.get("NumberOfFrames") or 1)
    data: bytes = made.PixelData[: samples * made.BitsAllocated // 8]
    if made.SamplesPerPixel == 1 or not made.PlanarConfiguration:
        return data
    planes = np.frombuffer(data, f"u{made.BitsAllocated // 8}").reshape(
        -1, made.SamplesPerPixel, made.Rows * made.Columns
    )
    return planes.transpose(0, 2, 1).tobytes()


def ours(pool: CodecPool, file: bytes) -> Dataset:
    data = bytes(transcode(file, EXPLICIT_LE, pool))
    return read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True)


def theirs(file: bytes, folder: Path) -> Dataset:
    syntax = dcmread(BytesIO(file)).file_meta.TransferSyntaxUID
    return dcmread(BytesIO(by_dcmtk([DECODERS.get(syntax, "dcmdjpeg")], file, folder)))


@pytest.mark.parametrize("name", COMPRESSED)
def test_files_in_the_field_decode_as_by_dcmtk(pool: CodecPool, tmp_path: Path, name: str) -> None:
    there, here = theirs(SHIPPED[name], tmp_path), ours(pool, SHIPPED[name])
    assert pixels(here) == pixels(there)
    for keyword in (
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "Rows",
    ):
        assert here[keyword].value == there[keyword].value, keyword


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("tool", [["dcmcjpeg", "+e1"], ["dcmcjpeg", "+el", "+sv", "6"], ["dcmcjpls"], ["dcmcrle"]])
def test_what_dcmtk_compresses_comes_out_again(pool: CodecPool, tmp_path: Path, tool: list[str], bits: int) -> None:
    samples = gray(bits, 24, 30)
    plain = add_pixels(dataset(), rows=24, columns=30, bits=samples.itemsize * 8)
    plain.BitsStored, plain.HighBit, plain.PixelData = bits, bits - 1, samples.tobytes()
    assert pixels(ours(pool, by_dcmtk(tool, encode(plain), tmp_path))) == samples.tobytes()


@pytest.mark.parametrize(
    "tool", [["dcmcjpls", "+il"], ["dcmcjpls", "+is"], ["dcmcjpls", "+in"], ["dcmcrle"], ["dcmcjpeg", "+e1", "+cn"]]
)
@pytest.mark.parametrize("planar", [0, 1])
def test_colours_that_dcmtk_compresses_come_out_again(
    pool: CodecPool, tmp_path: Path, tool: list[str], planar: int
) -> None:
    samples = color()
    plain = add_pixels(dataset(), rows=24, columns=32, bits=8)
    plain.SamplesPerPixel, plain.PhotometricInterpretation, plain.PlanarConfiguration = 3, "RGB", planar
    plain.PixelData = samples.tobytes() if planar == 0 else samples.transpose(2, 0, 1).tobytes()
    assert pixels(ours(pool, by_dcmtk(tool, encode(plain), tmp_path))) == samples.tobytes()


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, LOSSLESS, LOSSLESS_SV1, BASELINE])
@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 25},
        {"Columns": 29},
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
        {"BitsAllocated": 16, "BitsStored": 16},
        {"BitsStored": 6},
        {"PixelRepresentation": 1},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_a_header_of_another_image_decodes_as_by_dcmtk_or_not_at_all(
    pool: CodecPool, tmp_path: Path, syntax: str, attributes: dict[str, Any]
) -> None:
    samples = gray(8)
    file = pixel_file(syntax, samples, [ENCODERS[syntax](samples)], **attributes)
    try:
        here = pixels(ours(pool, file))
    except CannotTranscode:
        return
    assert here == pixels(theirs(file, tmp_path))
