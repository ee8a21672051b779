"""The head of a received file, against PS3.10 §7.1 and pydicom."""

from io import BytesIO

import pydicom

from store.dicom.part10 import file_meta
from store.dicom.summary import summarize
from store.dicom.uids import EXPLICIT_LE, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.unit.store_dicom.dicom_bytes import identity


def test_pydicom_reads_the_meta_information() -> None:
    file = file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4", EXPLICIT_LE, remote_aet="STORESCU") + identity()
    meta = pydicom.dcmread(BytesIO(file)).file_meta
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert meta.TransferSyntaxUID == EXPLICIT_LE
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == "STORESCU"
    assert summarize(file).sop_uid == "1.2.3.4"


def test_the_group_length_reaches_to_the_dataset() -> None:
    head = file_meta("1.2", "1.2.3", EXPLICIT_LE)
    assert head[:128] == bytes(128)
    assert head[128:132] == b"DICM"
    assert int.from_bytes(head[140:144], "little") == len(head) - 144
    assert b"\x02\0\x16\0" not in head  # no source without a name


def test_our_identifiers_keep_to_the_standard() -> None:
    assert IMPLEMENTATION_CLASS_UID.startswith("2.25.")  # PS3.5 §B.2: derived from a UUID, so below 2^128
    assert int(IMPLEMENTATION_CLASS_UID.split(".")[2]) < 1 << 128
    assert len(IMPLEMENTATION_CLASS_UID) <= 64
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16
