"""The tables: known SOP classes and transfer syntaxes, statuses of errors."""

import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

from actors.services.scripts.errors import ScriptFailed
from api.dicom.negotiation import select_sop_classes, select_transfer_syntaxes
from api.dicom.sop_classes import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES, is_registered
from api.dicom.status import store_status
from events.errors import Busy, CorruptLog, InvalidDicom, MissingTag, SinogramError, StorageFailed, StorageFull
from store.dicom.received import DatasetMismatch
from store.dicom.syntax import read_syntax


def test_every_storage_class_that_pynetdicom_knows_is_known() -> None:
    assert {str(context.abstract_syntax) for context in AllStoragePresentationContexts} <= STORAGE_SOP_CLASSES


def test_every_transfer_syntax_that_pynetdicom_knows_is_known() -> None:
    assert set(ALL_TRANSFER_SYNTAXES) <= TRANSFER_SYNTAXES


# Of Orthanc 1.12.7's two lists (/tools/accepted-sop-classes, /tools/accepted-transfer-syntaxes) what pynetdicom does not know
@pytest.mark.parametrize("last", ["601.1", "601.2", "601.3", "601.4", "501.1", "501.6"])
def test_classes_of_industry_are_known(last: str) -> None:
    uid = f"1.2.840.10008.5.1.4.1.1.{last}"
    assert uid in STORAGE_SOP_CLASSES
    assert uid in select_sop_classes((), ())
    assert uid in select_sop_classes(("1.2.840.10008.5.1.4.1.1.?01.*",), ())
    assert uid not in select_sop_classes((), ("1.2.840.10008.5.1.4.1.1.?01.*",))


@pytest.mark.parametrize("last", ["6.1", "6.2", "4.66", "4.61", "4.100.1", "8.1"])
def test_transfer_syntaxes_are_chosen_by_patterns(last: str) -> None:
    uid = f"1.2.840.10008.1.2.{last}"
    assert uid in select_transfer_syntaxes(("1.2.840.10008.1.*",))
    assert uid in select_transfer_syntaxes((uid,))
    assert uid in select_transfer_syntaxes((uid[:-1] + "?",))
    assert uid not in select_transfer_syntaxes(("1.2.840.10008.1.2.1*",))


def test_every_accepted_transfer_syntax_can_be_read() -> None:
    assert [uid for uid in TRANSFER_SYNTAXES if read_syntax(uid) is None] == []


def test_every_storage_class_of_the_standard_that_has_a_patient_is_known() -> None:
    """Those without one (PS3.4 Annex GG) cannot be stored below a patient, and Orthanc refuses them, too."""
    storage = {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and "Commitment" not in name and "Directory" not in name
    }
    assert storage - STORAGE_SOP_CLASSES == {
        *(f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("200.1", "200.3", "200.7", "201.1")),
        *(f"1.2.840.10008.5.1.4.{last}" for last in ("38.1", "39.1", "43.1", "44.1", "45.1")),
    }


@pytest.mark.parametrize(
    ("uid", "expected"), [("1.2.840.10008.1.1", True), ("1.2.840.10008.5.1.4.1.1.2", True), ("1.2.3", False)]
)
def test_private_classes_are_not_registered(*, uid: str, expected: bool) -> None:
    assert is_registered(uid) is expected


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageFull(), 0xA700),
        (Busy(), 0xA700),
        (ScriptFailed("boom"), 0xA700),
        (DatasetMismatch(), 0xA900),
        (InvalidDicom(), 0xC000),
        (MissingTag(), 0xC000),
        (StorageFailed(), 0xA700),
        (CorruptLog(), 0xA700),
        (OSError(5, "Input/output error"), 0xA700),
        (PermissionError(13, "Permission denied"), 0xA700),
        (MemoryError(), 0xA700),
        (SinogramError(), 0xC000),
        (ZeroDivisionError(), 0xC000),
    ],
)
def test_each_error_has_one_status(error: Exception, status: int) -> None:
    assert store_status(error) == status
