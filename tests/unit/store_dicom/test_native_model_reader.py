"""Documents that are no Native DICOM Model are refused with the one error, whatever is wrong with them."""

import pytest

from store.dicom.limits import BeyondLimits
from store.dicom.native_model_reader import BadXml, read_native_model

MODEL = '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"/>'


@pytest.mark.parametrize(
    "encoding", ["wtf-8", "hex", "zip", "rot13", "undefined", "utf-7", "shift_jis", "idna", "x" * 100]
)
def test_an_encoding_that_cannot_be_read_is_an_error_of_the_document(encoding: str) -> None:
    with pytest.raises(BadXml, match="malformed"):
        read_native_model(f'<?xml version="1.0" encoding="{encoding}"?>{MODEL}'.encode())


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "us-ascii", "koi8-r"])
def test_an_encoding_of_one_byte_and_utf_8_are_read(encoding: str) -> None:
    assert read_native_model(f'<?xml version="1.0" encoding="{encoding}"?>{MODEL}'.encode()) == {}


@pytest.mark.parametrize("document", [b"", b"<", b"<a></b>", b"\xff", b"<a/><b/>", b"<!DOCTYPE a><a/>", b"<a>&b;</a>"])
def test_what_is_no_document_is_refused(document: bytes) -> None:
    with pytest.raises(BadXml):
        read_native_model(document)


def test_values_that_are_left_out_count_as_elements_do() -> None:
    # Each of them would take 8 KB of memory: 16 MiB of text, 5 GB.
    steps = "".join(f'<Value number="{number}"/>' for number in range(1001, 1001 * 2000, 1001))
    document = f'<NativeDicomModel><DicomAttribute tag="00281101" vr="US">{steps}</DicomAttribute></NativeDicomModel>'
    with pytest.raises(BeyondLimits):
        read_native_model(document.encode())
