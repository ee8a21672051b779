"""The tables: known SOP classes and transfer syntaxes, statuses of errors."""

import pytest
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

from actors.lua.errors import ScriptFailed
from api.dicom.sop_classes import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES, is_registered
from api.dicom.status import DatasetMismatch, store_status
from events.errors import Busy, CorruptLog, InvalidDicom, MissingTag, SinogramError, StorageFailed, StorageFull


def test_every_storage_class_that_pynetdicom_knows_is_known() -> None:
    assert {str(context.abstract_syntax) for context in AllStoragePresentationContexts} <= STORAGE_SOP_CLASSES


def test_every_transfer_syntax_that_pynetdicom_knows_is_known() -> None:
    assert set(ALL_TRANSFER_SYNTAXES) <= TRANSFER_SYNTAXES


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
