"""The tables: known SOP classes and transfer syntaxes, statuses of errors."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pynetdicom.sop_class
import pynetdicom.status
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

from actors.services.scripts.errors import ScriptFailed
from actors.wire.dicom.command import Field
from actors.wire.dicom.statuses import meaning_of
from api.dicom.negotiation import select_sop_classes, select_transfer_syntaxes
from api.dicom.status import store_status
from events.errors import (
    Busy,
    CorruptLog,
    InvalidDicom,
    LimitReached,
    MissingTag,
    SinogramError,
    StorageFailed,
    StorageFull,
)
from store.dicom import sop_classes, tags, uids
from store.dicom.received import DatasetMismatch
from store.dicom.sop_classes import is_registered, storage_sop_classes
from store.dicom.standard_tables import read_constants, read_statuses
from store.dicom.syntax import read_syntax, transfer_syntaxes
from store.dicom.uids import STORAGE


def test_pynetdicom_is_read_without_importing_it() -> None:
    """It would cost each process 0.3 s and 39 MB; pydicom likewise."""
    read = (
        "from store.dicom.sop_classes import is_registered, storage_sop_classes as classes\n"
        "from store.dicom.standard_tables import read_statuses\n"
        "from store.dicom.syntax import transfer_syntaxes as syntaxes\n"
        "assert classes() and syntaxes() and read_statuses() and not is_registered('1.2.3')\n"
        "import sys\n"
        "print([name for name in sys.modules if name.split('.')[0] in {'pydicom', 'pynetdicom'}])\n"
    )
    run = subprocess.run([sys.executable, "-c", read], capture_output=True, check=True, text=True)
    assert run.stdout == "[]\n"


def test_storage_classes_are_those_of_pynetdicom_and_what_it_lacks() -> None:
    theirs = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    assert theirs < storage_sop_classes()
    lacking = storage_sop_classes() - theirs
    assert len(lacking) == 31  # of the 201 classes; what a release of pynetdicom brings can leave our table
    assert {f"{STORAGE}601.1", f"{STORAGE}501.6", f"{STORAGE}77.1", "1.2.840.10008.5.1.1.27"} <= lacking


def test_transfer_syntaxes_are_those_of_pynetdicom_and_what_it_lacks() -> None:
    assert set(ALL_TRANSFER_SYNTAXES) < transfer_syntaxes()
    assert len(transfer_syntaxes() - set(ALL_TRANSFER_SYNTAXES)) == 17


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Makes a module of another release of pynetdicom; what was read of this one is forgotten."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "pynetdicom"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    caches = read_constants, read_statuses, storage_sop_classes, transfer_syntaxes, sop_classes._registered_uids

    def make(name: str, source: str) -> None:
        Path(tmp_path, "pynetdicom").mkdir(exist_ok=True)
        Path(tmp_path, "pynetdicom", f"{name}.py").write_text(source)

    for each in caches:
        each.cache_clear()
    yield make
    for each in caches:
        each.cache_clear()


def test_a_class_that_a_new_release_brings_is_taken(release: Callable[[str, str], None]) -> None:
    release("__init__", "raise RuntimeError('imported')")
    release(
        "sop_class",
        "import nowhere\n_STORAGE_CLASSES = {'A': '1.2.3.4'}\n_B_CLASSES = {'B': '1.2.5'}\n_X = nowhere.y\n",
    )
    release("_globals", "ALL_TRANSFER_SYNTAXES: list[str] = ['1.2.840.10008.1.2.1', '1.2.9']\n")
    assert "1.2.3.4" in storage_sop_classes()
    assert [is_registered(uid) for uid in ("1.2.3.4", "1.2.5", "1.2.6")] == [True, True, False]
    assert "1.2.840.10008.1.2.1" in transfer_syntaxes()
    assert "1.2.9" not in transfer_syntaxes()  # nobody here could read it


def test_a_release_without_those_tables_is_asked_by_its_public_names(release: Callable[[str, str], None]) -> None:
    release(
        "__init__",
        "from types import SimpleNamespace\n"
        "AllStoragePresentationContexts = [SimpleNamespace(abstract_syntax='1.2.3.4')]\n"
        "ALL_TRANSFER_SYNTAXES = ['1.2.840.10008.1.2.1']\n",
    )
    release("status", "import nowhere\nSTORAGE_SERVICE_CLASS_STATUS = nowhere.table()\n")
    assert "1.2.3.4" in storage_sop_classes()
    assert is_registered("1.2.3.4")
    assert "1.2.840.10008.1.2.1" in transfer_syntaxes()
    assert meaning_of(Field.C_STORE, 0xA700) == ""


def test_statuses_are_those_of_pynetdicom() -> None:
    ours = read_statuses()
    theirs = {name: table for name, table in vars(pynetdicom.status).items() if name in ours}
    assert dict(ours) == theirs
    assert {name for name in pynetdicom.status.__all__ if name.endswith("STATUS")} <= ours.keys()


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("VERIFICATION", "Verification"),
        ("WORKLIST_FIND", "ModalityWorklistInformationFind"),
        *(
            (f"{root.upper()}_ROOT_{verb.upper()}", f"{root}RootQueryRetrieveInformationModel{verb}")
            for root in ("Patient", "Study")
            for verb in ("Find", "Move", "Get")
        ),
        ("MR_IMAGE_STORAGE", "MRImageStorage"),
    ],
)
def test_uids_called_by_name_are_those_of_the_standard(name: str, keyword: str) -> None:
    assert getattr(uids, name) == getattr(pynetdicom.sop_class, keyword)


def test_tags_called_by_name_are_those_of_the_standard() -> None:
    named = {name: tag for name, tag in vars(tags).items() if name.isupper()}
    structure = {"ITEM": "Item", "ITEM_END": "ItemDelimitationItem", "SEQUENCE_END": "SequenceDelimitationItem"}
    told = {
        name: structure.get(name, DicomDictionary[tag][4]).replace("AETitle", "AeTitle") for name, tag in named.items()
    }
    assert {name: word.replace("_", "").casefold() for name, word in told.items()} == {
        name: structure.get(name, name.replace("_", "")).casefold() for name in named
    }


# Of Orthanc 1.12.7's two lists (/tools/accepted-sop-classes, /tools/accepted-transfer-syntaxes) what pynetdicom does not know
@pytest.mark.parametrize("last", ["601.1", "601.2", "601.3", "601.4", "501.1", "501.6"])
def test_classes_of_industry_are_known(last: str) -> None:
    uid = f"1.2.840.10008.5.1.4.1.1.{last}"
    assert uid in storage_sop_classes()
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
    assert [uid for uid in transfer_syntaxes() if read_syntax(uid) is None] == []


def test_every_storage_class_of_the_standard_that_has_a_patient_is_known() -> None:
    """Those without one (PS3.4 Annex GG) cannot be stored below a patient, and Orthanc refuses them, too."""
    storage = {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and "Commitment" not in name and "Directory" not in name
    }
    assert storage - storage_sop_classes() == {
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
        (LimitReached(), 0xA700),
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


@pytest.mark.parametrize(
    ("field", "status", "meaning"),
    [
        (Field.C_STORE, 0xA700, "Refused: Out of Resources"),
        (Field.C_STORE, 0xA7FE, "Refused: Out of Resources"),
        (Field.C_MOVE, 0xA801, "Move destination unknown"),
        (Field.C_ECHO, 0x0122, "Refused: SOP Class Not Supported"),
        (Field.C_GET, 0x7777, ""),
        (Field.C_CANCEL, 0xA700, ""),
    ],
)
def test_a_status_has_the_words_of_the_standard(field: Field, status: int, meaning: str) -> None:
    """PS3.4 Tables B.2-1 and C.4-2, PS3.7 Annex C."""
    assert meaning_of(field, status) == meaning
