"""`Dictionary` and `ExternalDictionaries`: what an entry may be, and what is said of one that is wrong."""

from pathlib import Path
from typing import Any

import pytest

from store.dicom.additions import Addition
from tools.configuration.dictionary import MOST_ENTRIES, read_dictionary, read_files


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("0014-9999", ["DA", "N", 1, 1], Addition(0x00149999, "DA", "N")),
        ("00149999", ["LO", "N"], Addition(0x00149999, "LO", "N")),
        ("2001,5f", ["SQ", "Stack", 1, 1, "Philips"], Addition(0x2001005F, "SQ", "Stack", "Philips")),
        ("2001,105f", ["DS", "A b*", 3, 0, "Philips"], Addition(0x2001105F, "DS", "A b*", "Philips")),
        ("00e1,10c2", ["UI", "", 1, 2, "ELSCINT1"], Addition(0x00E110C2, "UI", "", "ELSCINT1")),
        ("7053,1003", ["OV", "N", 1], Addition(0x70531003, "OV", "N")),
    ],
)
def test_a_good_entry_is_read(key: str, value: list[Any], expected: Addition) -> None:
    assert read_dictionary({key: value})[:2] == ([expected], [])


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("zz", ["LO", "N"], "no tag; write gggg,eeee, or gggg,ee for any block of a private creator"),
        ("0009,1001", ["LO"], "must be [VR, name, minimum, maximum, private creator], of which the last three may"),
        ("0009,1001", "LO", "must be [VR, name, minimum, maximum, private creator]"),
        ("0009,1001", ["LO", "N", 1, 1, "C", "x"], "must be [VR, name, minimum, maximum, private creator]"),
        ("0009,1001", ["XX", "N"], "'XX' is no VR"),
        ("0009,1001", ["lo", "N"], "'lo' is no VR"),
        ("0009,1001", [5, "N"], "5 is no VR"),
        ("0009,1001", ["LO", 5], "the name must be a string"),
        ("0009,1001", ["LO", "N", "1", 1], "minimum and maximum must be whole numbers"),
        ("0009,1001", ["LO", "N", 1.0, 1], "minimum and maximum must be whole numbers"),
        ("0009,1001", ["LO", "N", True, 1], "minimum and maximum must be whole numbers"),
        ("0009,1001", ["LO", "N", 2, 1, "C"], "2 to 1 values cannot be"),
        ("0009,1001", ["LO", "N", 0, 0, "C"], "0 to 0 values cannot be"),
        ("0009,1001", ["LO", "N", -1, 1, "C"], "-1 to 1 values cannot be"),
        ("0009,1001", ["LO", "N", 1, 1, 5], "the private creator must be a string"),
        ("0010,0011", ["LO", "N", 1, 1, "C"], "only tags of odd groups from 0009 on have a private creator"),
        ("0010,0010", ["LO", "N", 1, 1], "the standard has this tag already"),
        ("PatientName", ["LO", "N", 1, 1], "the standard has this tag already"),
    ],
)
def test_a_wrong_entry_is_named_with_its_reason(key: str, value: Any, reason: str) -> None:
    entries, (problem,), _ = read_dictionary({key: value, "0009,1002": ["LO", "good", 1, 1, "C"]})
    assert problem.startswith(f"{key!r}: {reason}")
    assert [entry.name for entry in entries] == ["good"]


def test_what_is_odd_draws_a_warning() -> None:
    section = {"0009,1001": ["LO", "N", 1, 1], "0009-1001": ["DS", "M"], "0010,0011": ["LO", "PatientID"]}
    _, problems, warnings = read_dictionary(section)
    assert problems == ["'0009-1001': this tag stands here twice"]
    assert warnings[0] == "Dictionary: 0009,1001 is private and has no creator: it is known in files without one alone"
    assert warnings[-1] == "Dictionary: 0010,0011: PatientID is the name of 0010,0020, and stays that"


FILE = """
# comment
(0010,0010)\tPN\tComponentName\t1\tDICONDE10
(0019,"ACME",02)\tDS\tOne\t1-n\tPrivateTag

(0019-o-001d,"ACME",03)\tLO\tOdd\t1\tX
(0020,3100-3104)\tCS\tEven\t1-n
(6000-6002,0010)   xs   Rows   1   X
(0019-u-001a,"ACME",1005-u-1006)\tna\tAll\t1\tX
"""


def test_a_file_in_the_format_of_dcmtk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dic"
    path.write_text(FILE)
    entries, problems = read_files([path])
    assert problems == []
    assert entries[:2] == [Addition(0x00100010, "PN", "ComponentName"), Addition(0x00190002, "DS", "One", "ACME")]
    tags: dict[str, list[int]] = {}
    for entry in entries:
        tags.setdefault(entry.name, []).append(entry.tag)
    assert tags["Odd"] == [0x00190003, 0x001B0003, 0x001D0003]
    assert tags["Even"] == [0x00203100, 0x00203102, 0x00203104]
    assert tags["Rows"] == [0x60000010, 0x60020010]
    assert tags["All"] == [0x00191005, 0x00191006, 0x001A1005, 0x001A1006]
    assert {entry.vr for entry in entries if entry.name in {"Rows", "All"}} == {"US", ""}


def test_what_is_wrong_with_files_is_told_with_file_and_line(tmp_path: Path) -> None:
    bad, missing = tmp_path / "bad.dic", tmp_path / "missing.dic"
    bad.write_text("(0019,1001)\tLO\tGood\t1\tX\n(zz,1)\tLO\tBad\t1\tX\n(0019,1002)\tXX\tBad\t1\tX\n")
    entries, problems = read_files([bad, missing])
    assert [entry.name for entry in entries] == ["Good"]
    assert problems[0].startswith(f"{bad}: line 2: must be (gggg,eeee)")
    assert problems[1:] == [f"{bad}: line 3: XX is no VR", f"{missing}: No such file or directory"]


def test_ranges_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.dic"
    path.write_text("(0000-u-ffff,0000-u-ffff)\tLO\tN\t1\tX\n")
    assert read_files([path]) == (
        [],
        [f"{path}: line 1: with these there are more than {MOST_ENTRIES} tags in all files"],
    )
