"""Datasets in another transfer syntax: the same elements, the same pixels."""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.derivation import SOURCE_IMAGES, lossy_changes
from actors.services.transcoding.targets import CannotTranscode, Target, can_transcode
from events.errors import InvalidDicom
from store.dicom.elements import Element, in_order, read_elements
from store.dicom.part10 import file_meta, open_part10
from store.dicom.rendering import render_tags
from store.dicom.syntax import Syntax
from store.dicom.tags import PIXEL_DATA
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from tests import transcoded
from tests.data_factory import Sample, made_files, shipped_files
from tests.dicom_bytes import CT, add_pixels, dataset, element, encode, item
from tests.native_pixels import Native, ramp
from tests.pixel_files import BASELINE, RLE

SAMPLES = {sample.name: sample for sample in (*made_files(), *shipped_files())}
DECODED_BY_DCMTK = "d30242775a414c01"  # SHA-256 of the pixels of both files of 12-bit JPEG


@pytest.fixture(scope="module", autouse=True)
def shared_codecs() -> Iterator[None]:
    _CODECS.append(CodecPool())
    yield
    _CODECS.pop().close()


_CODECS: list[CodecPool] = []


def transcode(file: bytes, target: str) -> bytes:
    return bytes(transcoded.transcode(file, target, _CODECS[0]))


def _is_uncompressed(sample: Sample) -> bool:
    try:
        file = open_part10(sample.data)
        render_tags(sample.data)
    except InvalidDicom:
        return False
    return can_transcode(file.transfer_syntax, EXPLICIT_LE) and not file.syntax.encapsulated


UNCOMPRESSED_SAMPLES = [name for name, sample in SAMPLES.items() if _is_uncompressed(sample)]


def _as_file(encoded: bytes, syntax: str) -> bytes:
    return file_meta("1.2.3", "1.2.3.4", syntax) + encoded


def _rendered(file: bytes) -> Any:
    """All elements as text; without the group lengths, which are not written again."""
    return {tag: value for tag, value in render_tags(file, "full").items() if not tag.endswith(",0000")}


def _values(file: bytes) -> list[tuple[int, bytes]]:
    """All values of a file, also those in items, without their VRs; of elements that occur twice the first."""
    part10 = open_part10(file)

    def walk(elements: Iterable[Element]) -> Iterator[tuple[int, bytes]]:
        for each in in_order(elements):
            if each.items is not None:
                yield each.tag, b"items"
                for item in each.items:
                    yield from walk(item.elements)
            elif each.tag & 0xFFFF:
                value = bytes(part10.data[each.value : each.value + each.length])
                yield each.tag, value

    return list(walk(read_elements(part10.data, part10.start, part10.syntax)))


def _bare(file: bytes) -> list[tuple[int, bytes]]:
    """All values without what may pad them."""
    return [(tag, value.rstrip(b"\0 ")) for tag, value in _values(file)]


def _value(encoded: bytes, tag: int) -> bytes:
    return dict(_values(_as_file(encoded, EXPLICIT_LE)))[tag]


def _pixels(name: str) -> bytes:
    return _value(transcode(SAMPLES[name].data, EXPLICIT_LE), PIXEL_DATA)


@pytest.mark.parametrize("name", UNCOMPRESSED_SAMPLES)
def test_elements_are_the_same_in_explicit_vr(name: str) -> None:
    source = SAMPLES[name].data
    assert _rendered(_as_file(transcode(source, EXPLICIT_LE), EXPLICIT_LE)) == _rendered(source)


@pytest.mark.parametrize("name", UNCOMPRESSED_SAMPLES)
def test_values_are_the_same_in_implicit_vr(name: str) -> None:
    source = SAMPLES[name].data
    there = _as_file(transcode(source, IMPLICIT_LE), IMPLICIT_LE)
    if open_part10(source).syntax.little:
        assert _bare(there) == _bare(source)
    else:
        assert _values(there) == _values(_as_file(transcode(source, EXPLICIT_LE), EXPLICIT_LE))


def test_explicit_little_endian_stays_as_it_is() -> None:
    source = encode(add_pixels(dataset()))
    assert transcode(source, EXPLICIT_LE) == source[open_part10(source).start :]


def test_what_has_no_room_for_its_length_becomes_unknown() -> None:
    long_text = encode(dataset(InstitutionName="x" * 70000), IMPLICIT_LE)
    there = transcode(long_text, EXPLICIT_LE)
    assert b"\x08\0\x80\0UN\0\0" in there
    assert _value(there, 0x00080080) == b"x" * 70000


def test_the_sign_of_pixels_decides_an_open_value_representation() -> None:
    made = add_pixels(dataset())
    made.PixelRepresentation = 1
    made.SmallestImagePixelValue = -5
    there = transcode(encode(made, IMPLICIT_LE), EXPLICIT_LE)
    assert b"\x28\0\x06\x01SS\2\0\xfb\xff" in there


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm"]
)
def test_lossless_pixels_are_exactly_those_that_were_compressed(name: str) -> None:
    assert _pixels(name) == _pixels("MR_small.dcm")


def test_all_frames_are_decoded() -> None:
    assert _pixels("rtdose_rle.dcm") == _pixels("rtdose.dcm")


def test_colours_of_lossy_jpeg_become_rgb_by_pixel() -> None:
    there = transcode(SAMPLES["SC_rgb_dcmtk_+eb+cy+s2.dcm"].data, EXPLICIT_LE)
    assert _value(there, 0x00280004) == b"RGB "
    assert _value(there, 0x00280006) == b"\0\0"
    assert len(_value(there, PIXEL_DATA)) == 100 * 100 * 3
    assert _value(there, PIXEL_DATA)[:3] == b"\xfe\0\0"  # red, but for what JPEG loses


def test_lossless_jpeg_is_decoded() -> None:
    assert len(_pixels("SC_rgb_jpeg_gdcm.dcm")) == 100 * 100 * 3


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_lossy_jpeg_of_12_bits_is_decoded(name: str) -> None:
    pixels = _pixels(name)
    assert len(pixels) == 2 * 1024 * 256
    samples = struct.unpack(f"<{1024 * 256}H", pixels)
    assert 0xFF < max(samples) < 1 << 12
    assert hashlib.sha256(pixels).hexdigest().startswith(DECODED_BY_DCMTK)


def test_decompressed_elements_beside_the_pixels_stay() -> None:
    source = SAMPLES["MR_small_RLE.dcm"].data
    before, after = _rendered(source), _rendered(_as_file(transcode(source, EXPLICIT_LE), EXPLICIT_LE))
    del before["7fe0,0010"], after["7fe0,0010"]
    assert after == before


def test_a_compressed_icon_goes_with_its_sequence() -> None:
    fragments = struct.pack("<HHIHHI", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE0DD, 0)
    icon = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + fragments
    source = SAMPLES["MR_small_RLE.dcm"].data
    where = source.index(b"\xe0\x7f\x10\0O")
    there = transcode(source[:where] + element(0x00880200, "SQ", item(icon)) + source[where:], EXPLICIT_LE)
    assert there == transcode(source, EXPLICIT_LE)


@pytest.mark.parametrize("target", ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.102", ""])
def test_other_targets_are_refused(target: str) -> None:
    with pytest.raises(CannotTranscode):
        transcode(encode(dataset()), target)


def test_a_video_cannot_be_decoded() -> None:
    with pytest.raises(CannotTranscode, match=r"4\.102"):
        transcode(SAMPLES["encapsulated-1.2.840.10008.1.2.4.102"].data, EXPLICIT_LE)


@pytest.mark.parametrize(("announced", "there"), [(1, 2), (2, 3), (2, 7)])
def test_frames_that_nobody_has_announced_are_not_thrown_away(announced: int, there: int) -> None:
    native = Native(samples=ramp("<u2", there, 5, 6), bits=16)
    with pytest.raises(CannotTranscode, match=f"{(there - announced) * 60} bytes more than are announced"):
        transcode(native.file(EXPLICIT_LE, NumberOfFrames=str(announced)), RLE)


@pytest.mark.parametrize(("frames", "padding"), [(1, 1), (3, 1), (1, 14), (2, 58)])
def test_what_pads_pixels_keeps_them_from_no_syntax(frames: int, padding: int) -> None:
    samples = ramp("u1", frames, 1, 1) if padding == 1 else ramp("<u2", frames, 5, 6)
    file = Native(samples=samples, bits=samples.itemsize * 8).file(EXPLICIT_LE)
    if padding > 1:
        size = samples.nbytes
        file = file.replace(struct.pack("<I", size) + samples.tobytes(), struct.pack("<I", size + padding) + samples.tobytes()) + bytes(padding)  # fmt: skip
    made = transcode(file_meta("1.2", "1.2.3", RLE) + transcode(file, RLE), EXPLICIT_LE)
    pixels = next(element for element in read_elements(made, 0, Syntax()) if element.tag == PIXEL_DATA)
    assert made[pixels.value : pixels.value + samples.nbytes] == samples.tobytes()
    assert pixels.length == samples.nbytes + samples.nbytes % 2


def test_pixels_that_are_none_are_refused() -> None:
    with pytest.raises(CannotTranscode, match="Cannot decode"):
        transcode(SAMPLES["encapsulated-1.2.840.10008.1.2.4.90"].data, EXPLICIT_LE)


def test_a_source_whose_uid_is_none_is_named_as_far_as_it_can_be_written() -> None:
    changes = lossy_changes(Target(BASELINE, 90), CT, "1.2\ufffd3", {}, 3.0)
    match changes[SOURCE_IMAGES]:
        case (_, bytes() as items):
            assert CT.encode() in items
        case other:
            raise AssertionError(f"no items: {other}")
