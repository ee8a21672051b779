"""Files from one transfer syntax to another and back: without loss not a byte of the dataset differs; with loss it is another instance, which says so."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding import compression
from actors.services.transcoding.targets import CannotTranscode, Target
from actors.services.transcoding.transcode import Transcoded, transcode
from store.dicom.part10 import open_part10
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.native_pixels import Native
from tests.pixel_files import (
    BASELINE,
    EXTENDED,
    FAMILY,
    J2K,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_LS_NEAR,
    JPEG_XL,
    LOSSLESS,
    LOSSLESS_SV1,
    RLE,
)

HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY = (FAMILY + number for number in ("201", "202", "203"))
UNCOMPRESSED = (EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE, EXPLICIT_BE)
WITHOUT_LOSS = (*UNCOMPRESSED, RLE, LOSSLESS, LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K, HTJ2K_RPCL, JPEG_XL)
# how a lossy one is named, with words of the description, and the code of its method (PS3.3 §C.7.6.1.1.5.1)
WITH_LOSS = {
    BASELINE: "ISO_10918_1",
    EXTENDED: "ISO_10918_1",
    JPEG_LS_NEAR: "ISO_14495_1",
    J2K: "ISO_15444_1",
    HTJ2K_LOSSY: "ISO_15444_15",
}


@pytest.fixture(scope="module")
def codecs() -> Iterator[CodecPool]:
    pool = CodecPool()
    yield pool
    pool.close()


@dataclass(frozen=True, slots=True)
class Kind:
    """What the pixels of a file are."""

    bits: int
    label: str = "MONOCHROME2"
    frames: int = 1
    signed: bool = False
    allocated: int = 16

    def file(self, **attributes: Any) -> bytes:
        count = 3 if self.label in {"RGB", "YBR_FULL"} else 1
        numbers = np.random.default_rng(self.bits).integers(0, 1 << max(1, self.bits - 3), (self.frames, 13, 10, count))
        slope = np.add.outer(np.arange(13), np.arange(10))[None, :, :, None] * ((1 << self.bits) // 26)
        samples = (slope + numbers) % (1 << self.bits) - (self.signed << (self.bits - 1))
        code = "i" if self.signed else "u"
        made = Native(
            samples=samples.astype(f"<{code}{self.allocated // 8}"),
            bits=self.allocated,
            label=self.label,
            planar=0 if count == 3 else None,
            vr="OW",
        )
        return made.file(EXPLICIT_LE, BitsStored=self.bits, HighBit=self.bits - 1, **attributes)


KINDS = (Kind(12, frames=2), Kind(8, "RGB", allocated=8))
MORE_KINDS = (
    Kind(16, signed=True, frames=3),
    Kind(8, "PALETTE COLOR", allocated=8),
    Kind(8, "YBR_FULL", allocated=8),
    Kind(12, "MONOCHROME1", signed=True),
    Kind(7, allocated=8, frames=5),
    Kind(6),
    Kind(16, "RGB"),
    Kind(8, signed=True, allocated=8),
    Kind(2, allocated=8),
    Kind(13, "MONOCHROME1", frames=2),
)


def made_in(syntax: str, file: bytes, codecs: CodecPool, quality: int = 90) -> Transcoded:
    return transcode(file, Target(syntax, quality), codecs)


def whole(made: Transcoded) -> bytes:
    return made.head() + bytes(made.dataset)


def read(made: Transcoded) -> Dataset:
    return dcmread(BytesIO(whole(made)))


def _check_pairs(kind: Kind, codecs: CodecPool) -> None:
    syntaxes = [syntax for syntax in WITHOUT_LOSS if syntax != JPEG_XL or not (kind.signed or kind.label == "YBR_FULL")]
    original = kind.file()
    told = dcmread(BytesIO(original))
    dataset = memoryview(original)[open_part10(original).start :]
    first = {EXPLICIT_LE: Transcoded(told.SOPClassUID, told.SOPInstanceUID, EXPLICIT_LE, dataset)}
    first |= {syntax: made_in(syntax, original, codecs) for syntax in syntaxes if syntax != EXPLICIT_LE}
    for here, there in permutations(first, 2):
        made = made_in(there, whole(first[here]), codecs)
        assert made == first[there], (kind, here, there)
        if here == EXPLICIT_LE:
            assert made_in(here, whole(made), codecs) == first[here], (kind, here, there)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_pair_without_loss_is_the_same_there_and_back(kind: Kind, codecs: CodecPool) -> None:
    """What is made of a file that was made of another is what is made of that, in every byte; so there and back is where it began."""
    _check_pairs(kind, codecs)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", MORE_KINDS, ids=str)
def test_every_pair_without_loss_is_the_same_for_more_kinds(kind: Kind, codecs: CodecPool) -> None:
    _check_pairs(kind, codecs)


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS])
def test_what_uncompressed_pixels_may_be_alone_comes_back_as_the_same_samples(syntax: str, codecs: CodecPool) -> None:
    """Colours by plane, or shared by two pixels, are an order of samples that no codestream keeps."""
    samples = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), "u1")
    planar = Native(samples=samples, label="RGB", planar=1, vr="OB").file(EXPLICIT_LE)
    back = read(made_in(EXPLICIT_LE, whole(made_in(syntax, planar, codecs)), codecs))
    assert (back.PhotometricInterpretation, back.PlanarConfiguration) == ("RGB", 0)
    assert back.PixelData == samples.tobytes()
    samples[:, :, 1::2, 1:] = samples[:, :, ::2, 1:]
    shared = Native(samples=samples, label="YBR_FULL_422", planar=0, vr="OB").file(EXPLICIT_LE)
    back = read(made_in(EXPLICIT_LE, whole(made_in(syntax, shared, codecs)), codecs))
    assert back.PhotometricInterpretation == "YBR_FULL"
    assert back.PixelData == samples.tobytes()


@pytest.mark.parametrize("syntax", WITH_LOSS)
def test_with_loss_it_is_another_instance_that_says_what_has_happened(syntax: str, codecs: CodecPool) -> None:
    source = Kind(8, allocated=8, frames=2).file(ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    before, made = dcmread(BytesIO(source)), made_in(syntax, source, codecs, 80)
    after = read(made)
    assert (
        made.sop_instance == after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID != before.SOPInstanceUID
    )
    assert after.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert (after.LossyImageCompression, after.LossyImageCompressionMethod) == ("01", WITH_LOSS[syntax])
    (origin,) = after.SourceImageSequence
    assert (origin.ReferencedSOPClassUID, origin.ReferencedSOPInstanceUID) == (
        before.SOPClassUID,
        before.SOPInstanceUID,
    )
    assert origin.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert [code.CodeValue for code in after.DerivationCodeSequence] == ["113040"]
    frames = sum(len(part) for part in _fragments(after))
    assert float(after.LossyImageCompressionRatio) == pytest.approx(len(before.PixelData) / frames, rel=1e-3)
    for tag in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "Rows", "BitsStored"):
        assert after[tag].value == before[tag].value


def _fragments(made: Dataset) -> list[bytes]:
    from pydicom.encaps import generate_fragments

    return list(generate_fragments(made.PixelData))[1:]


def test_the_same_is_derived_under_the_same_identifier(codecs: CodecPool) -> None:
    source = Kind(8, allocated=8).file()
    first, again = made_in(BASELINE, source, codecs, 70), made_in(BASELINE, source, codecs, 70)
    assert whole(first) == whole(again)
    others = {made_in(*how, codecs=codecs).sop_instance for how in _OTHERS}
    assert len(others | {first.sop_instance}) == 1 + len(_OTHERS)


_OTHERS = (
    (EXTENDED, Kind(8, allocated=8).file()),
    (BASELINE, Kind(8, allocated=8).file()),
    (BASELINE, Kind(8, allocated=8).file(SOPInstanceUID="1.2.3")),
)  # fmt: skip


def test_what_is_lost_again_is_told_besides(codecs: CodecPool) -> None:
    first = made_in(BASELINE, Kind(8, allocated=8).file(), codecs)
    second = read(made_in(JPEG_LS_NEAR, whole(first), codecs))
    assert second.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_14495_1"]
    assert len(second.LossyImageCompressionRatio) == 2
    assert second.SourceImageSequence[0].ReferencedSOPInstanceUID == first.sop_instance
    assert len(second.DerivationCodeSequence) == 1
    assert second.DerivationDescription.startswith(
        "Lossy compression with JPEG-LS near-lossless [Lossy compression with"
    )


def test_at_the_best_quality_what_may_be_lossy_is_not(codecs: CodecPool) -> None:
    source = Kind(12).file()
    for syntax in (J2K, HTJ2K_LOSSY):
        made = made_in(syntax, source, codecs, 100)
        assert "LossyImageCompression" not in read(made)
        back = made_in(EXPLICIT_LE, whole(made), codecs)
        assert back.dataset == source[open_part10(source).start :]


@pytest.mark.parametrize(
    ("bits", "announced"), [(6, (8, 8, 7)), (8, (8, 8, 7)), (10, (16, 12, 11)), (12, (16, 12, 11))]
)
def test_jpeg_has_8_or_12_bits_and_the_dataset_says_so(
    bits: int, announced: tuple[int, ...], codecs: CodecPool
) -> None:
    after = read(made_in(EXTENDED, Kind(bits).file(), codecs))
    assert (after.BitsAllocated, after.BitsStored, after.HighBit) == announced


@pytest.mark.parametrize(
    ("syntax", "colours"),
    [(BASELINE, "YBR_FULL_422"), (J2K_LOSSLESS, "YBR_RCT"), (J2K, "YBR_ICT"), (HTJ2K_RPCL, "YBR_RCT"), (RLE, "RGB"), (LOSSLESS, "RGB"), (JPEG_LS, "RGB")],
)  # fmt: skip
def test_colours_are_labelled_as_the_codestream_has_them(syntax: str, colours: str, codecs: CodecPool) -> None:
    after = read(made_in(syntax, Kind(8, "RGB", allocated=8).file(), codecs))
    assert (after.PhotometricInterpretation, after.PlanarConfiguration) == (colours, 0)


def test_each_frame_is_a_fragment_and_the_table_says_where(codecs: CodecPool) -> None:
    made = read(made_in(JPEG_LS, Kind(12, frames=4).file(), codecs))
    from pydicom.encaps import parse_basic_offsets

    offsets = [0]
    for part in _fragments(made)[:-1]:
        assert not len(part) & 1
        offsets.append(offsets[-1] + 8 + len(part))
    assert parse_basic_offsets(made.PixelData) == offsets


def test_a_large_file_is_made_on_disk_and_is_the_same(codecs: CodecPool, monkeypatch: pytest.MonkeyPatch) -> None:
    for syntax in (RLE, BASELINE):
        source = Kind(8, allocated=8, frames=6).file()
        in_memory = bytes(made_in(syntax, source, codecs).dataset)
        with monkeypatch.context() as patched:
            patched.setattr(compression, "IN_MEMORY_BYTES", 300)
            assert bytes(made_in(syntax, source, codecs).dataset) == in_memory


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, BASELINE])
def test_what_has_no_pixels_is_not_compressed(syntax: str, codecs: CodecPool) -> None:
    file = dcmread(BytesIO(Kind(8).file()))
    del file.PixelData
    bare = BytesIO()
    file.save_as(bare)
    with pytest.raises(CannotTranscode, match="Pixel Data"):
        made_in(syntax, bare.getvalue(), codecs)


def test_what_cannot_be_held_says_why(codecs: CodecPool) -> None:
    with pytest.raises(CannotTranscode, match=r"to 1\.2\.840\.10008\.1\.2\.4\.50: samples of 12 bits are too long"):
        made_in(BASELINE, Kind(12).file(), codecs)
