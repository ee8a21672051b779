"""The identifiers at the head of a dataset, in every way it can be encoded and cut into fragments."""

import zlib

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from api.dicom.dataset_head import HEAD_LIMIT_BYTES, DatasetHead

CT = "1.2.840.10008.5.1.4.1.1.2"
INSTANCE = "1.2.3.45"
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
SYNTAXES = (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED, JPEG)


def encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    target = DicomBytesIO()
    target.is_implicit_VR = transfer_syntax == IMPLICIT_LE
    target.is_little_endian = transfer_syntax != EXPLICIT_BE
    write_dataset(target, dataset)
    data = bytes(target.getvalue())
    if transfer_syntax == DEFLATED:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = deflate.compress(data) + deflate.flush()
    return data


def make_dataset() -> Dataset:
    language = Dataset()
    language.CodeValue = "en"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.LanguageCodeSequence = Sequence([language])
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = INSTANCE
    dataset.PatientID = "SOMEBODY"
    return dataset


def read(data: bytes, transfer_syntax: str, part_bytes: int = 1 << 20) -> DatasetHead:
    head = DatasetHead(transfer_syntax)
    for start in range(0, len(data), part_bytes):
        head.feed(memoryview(data)[start : start + part_bytes])
    return head


@pytest.mark.parametrize("part_bytes", [1, 2, 7, 13, 1 << 20])
@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
def test_another_class_or_instance_is_noticed(transfer_syntax: str, part_bytes: int) -> None:
    head = read(encode(make_dataset(), transfer_syntax), transfer_syntax, part_bytes)
    assert head.agrees(CT, INSTANCE)
    assert not head.agrees(CT, INSTANCE + "0")
    assert not head.agrees(CT + "0", INSTANCE)


@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
def test_what_is_missing_is_left_to_the_parser(transfer_syntax: str) -> None:
    dataset = make_dataset()
    del dataset.SOPInstanceUID
    head = read(encode(dataset, transfer_syntax), transfer_syntax)
    assert head.agrees(CT, "1.9.9")
    assert not head.agrees("1.9.9", INSTANCE)


@pytest.mark.parametrize(
    "data", [b"", b"garbage garbage garbage!", bytes(100), b"\xff" * 100, b"\x08\0\x06\0SQ\0\0\xff\xff\xff\xff"]
)
@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
def test_what_cannot_be_read_is_left_to_the_parser(transfer_syntax: str, data: bytes) -> None:
    assert read(data, transfer_syntax).agrees(CT, INSTANCE)


def test_no_more_than_a_head_is_kept() -> None:
    dataset = make_dataset()
    dataset.LanguageCodeSequence[0].EncapsulatedDocument = bytes(2 * HEAD_LIMIT_BYTES)
    head = read(encode(dataset, IMPLICIT_LE), IMPLICIT_LE, 1000)
    assert head.agrees("anything", "at all")
    assert len(head._data) <= HEAD_LIMIT_BYTES
