"""File meta information that says several things: what a file is read by. Every verdict is that of Orthanc 1.12.7."""

from struct import pack

import pytest

from events.errors import InvalidDicom
from store.dicom.encoding import sendable_dataset
from store.dicom.part10 import find_dataset
from store.dicom.summary import summarize
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.unit.store_dicom.dicom_bytes import explicit, identity, implicit, implicit_instance, part10

DATASETS = {
    EXPLICIT_LE: identity(),
    IMPLICIT_LE: implicit_instance()[len(part10(b"", IMPLICIT_LE)) :],
}
OTHER = {EXPLICIT_LE: IMPLICIT_LE, IMPLICIT_LE: EXPLICIT_LE}


def told(name: str) -> bytes:
    return explicit(0x00020010, "UI", name.encode() + bytes(len(name) & 1))


def file(dataset: bytes, first: bytes, second: bytes, length: int | None) -> bytes:
    group_length = b"" if length is None else explicit(0x00020000, "UL", pack("<I", length))
    return bytes(128) + b"DICM" + group_length + first + second + dataset


def lengths(first: bytes, second: bytes) -> dict[str, int | None]:
    return {
        "both": len(first + second),
        "the first alone": len(first),
        "nothing": None,
        "too little": 3,
        "too much": 999,
    }


@pytest.mark.parametrize("counted", lengths(b"", b""))
@pytest.mark.parametrize("syntax", DATASETS)
def test_the_first_transfer_syntax_counts(syntax: str, counted: str) -> None:
    first, second = told(syntax), told(OTHER[syntax])
    made = file(DATASETS[syntax], first, second, lengths(first, second)[counted])
    if syntax == IMPLICIT_LE and counted == "the first alone":
        with pytest.raises(InvalidDicom):  # the second belongs to the dataset then, and is not in its form
            summarize(made)
        return
    summary = summarize(made)
    assert (summary.sop_uid, summary.transfer_syntax) == ("1.2.3.4", syntax)


@pytest.mark.parametrize("counted", lengths(b"", b""))
@pytest.mark.parametrize("syntax", DATASETS)
def test_a_later_one_does_not_save_a_file(syntax: str, counted: str) -> None:
    first, second = told(OTHER[syntax]), told(syntax)
    with pytest.raises(InvalidDicom):
        summarize(file(DATASETS[syntax], first, second, lengths(first, second)[counted]))


@pytest.mark.parametrize("syntax", DATASETS)
def test_elements_behind_the_group_s_length_are_the_dataset_s_and_are_not_sent(syntax: str) -> None:
    first = told(syntax)
    name = b"1.2.840.10008.1.2.4.70"
    second = explicit(0x00020010, "UI", name) if syntax == EXPLICIT_LE else implicit(0x00020010, name)
    made = file(DATASETS[syntax], first, second, len(first))
    assert summarize(made).transfer_syntax == syntax
    assert made[find_dataset(made) :] == second + DATASETS[syntax]
    assert bytes(sendable_dataset(made)) == DATASETS[syntax]
