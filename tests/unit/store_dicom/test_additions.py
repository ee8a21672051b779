"""Tags that the configuration names: by creator and block, in implicit VR with their VRs, wherever a file is read."""

from collections.abc import Iterator

import pytest

from events.identifiers import Level
from store.dicom.additions import Addition, Additions, find_private, set_additions
from store.dicom.content import content
from store.dicom.dicom_json import render_dicom_json
from store.dicom.dictionary import UNKNOWN_NAME, dictionary_vr, known_in, parse_tag, tag_name
from store.dicom.identifier import decode_dataset, pick
from store.dicom.indexed_tags import is_sequence, sequence_json
from store.dicom.rendering import render_tags
from store.dicom.summary import IndexPlan, summarize
from store.dicom.uids import IMPLICIT_LE
from tests.unit.store_dicom.dicom_bytes import explicit, identity, implicit, part10
from tests.unit.store_dicom.dicom_bytes import item as item_of

NAMED = (
    Addition(0x2001005F, "SQ", "StackSequence", "Philips"),
    Addition(0x20010060, "US", "Count", "Philips"),
    Addition(0x20011061, "DS", "InItsBlock", "Philips"),
    Addition(0x20010062, "LO", "Text", "Philips"),
    Addition(0x00091001, "LO", "OfNobody"),
    Addition(0x00100010, "PN", "ComponentName"),
    Addition(0x00149999, "SQ", "NewSequence"),
)


@pytest.fixture(autouse=True)
def named() -> Iterator[None]:
    set_additions(Additions(NAMED))
    yield
    set_additions(Additions())


def item(*elements: bytes) -> bytes:
    return item_of(b"".join(elements))


IDENTITY = (
    implicit(0x00080016, b"1.2\0"),
    implicit(0x00080018, b"1.2.3.4\0"),
    implicit(0x0020000D, b"1.2.3\0"),
    implicit(0x0020000E, b"1.2.3.1\0"),
)
CODE = implicit(0x00080100, b"CODE")
INSIDE = item(CODE, implicit(0x20010011, b"Philips "), implicit(0x20011160, b"\7\0"))
PRIVATE = (
    implicit(0x00090010, b"ACME"),
    implicit(0x00091001, b"nobody's"),
    implicit(0x20010010, b"Philips "),
    implicit(0x20010012, b"Philips "),
    implicit(0x2001105F, INSIDE),
    implicit(0x20011060, b"\5\0"),
    implicit(0x20011061, b"1.5 "),
    implicit(0x20011062, b"abc "),
    implicit(0x2001125F, b"no item!"),
    implicit(0x20011260, b"\6\0"),
    implicit(0x20011261, b"2.5 "),
    implicit(0x20011360, b"\7\0"),
)


def file(*elements: bytes) -> bytes:
    ordered = sorted((*IDENTITY, *elements), key=lambda element: (element[1::-1], element[3:1:-1]))
    return part10(b"".join(ordered), IMPLICIT_LE)


def test_an_entry_below_0x100_holds_in_any_block_of_its_creator() -> None:
    assert find_private(0x20011060, "Philips") == find_private(0x2001FF60, "Philips") == ("US", "Count")
    assert find_private(0x20011061, "Philips") == ("DS", "InItsBlock")
    assert find_private(0x20011261, "Philips") is None
    assert find_private(0x20011060, "Siemens") is None
    assert find_private(0x20031060, "Philips") is None


def test_what_nobody_owns_is_known_where_nobody_owns_it() -> None:
    assert known_in(0x00091001, None).name == "OfNobody"
    assert known_in(0x00091001, "ACME").name == UNKNOWN_NAME
    assert dictionary_vr(0x00091001) == "LO"


def test_a_tag_of_the_standard_keeps_its_vr_and_its_name_as_well() -> None:
    assert tag_name(0x00100010) == "ComponentName"
    assert parse_tag("ComponentName") == parse_tag("PatientName") == 0x00100010
    assert parse_tag("StackSequence") == 0x2001005F


def test_private_elements_in_implicit_vr_are_shown_by_their_entries() -> None:
    shown = render_tags(file(*PRIVATE))
    told = {
        key: (tag["Name"], tag["Type"], tag["Value"]) for key, tag in shown.items() if key >= "2001" or key < "0008"
    }
    inner = told.pop("2001,105f")
    assert inner[:2] == ("StackSequence", "Sequence")
    assert inner[2][0]["2001,1160"] == {"Name": "Count", "PrivateCreator": "Philips", "Type": "String", "Value": "7"}
    assert told == {
        "2001,0010": ("PrivateCreator", "String", "Philips"),
        "2001,0012": ("PrivateCreator", "String", "Philips"),
        "2001,1060": ("Count", "String", "5"),
        "2001,1061": ("InItsBlock", "String", "1.5"),
        "2001,1062": ("Text", "String", "abc"),
        "2001,125f": ("StackSequence", "Null", None),  # it is none
        "2001,1260": ("Count", "String", "6"),
        "2001,1261": (UNKNOWN_NAME, "Null", None),
        "2001,1360": (UNKNOWN_NAME, "Null", None),
    }
    assert shown["0009,1001"] == {"Name": UNKNOWN_NAME, "PrivateCreator": "ACME", "Type": "String", "Value": "nobody's"}
    assert "StackSequence" in render_tags(file(*PRIVATE), "simplify")


def test_in_explicit_vr_the_file_says_what_an_element_is() -> None:
    data = part10(
        identity()
        + explicit(0x20010010, "LO", b"Philips ")
        + explicit(0x20011060, "DS", b"1.5 ")
        + explicit(0x20011062, "UN", b"abc ")
    )
    shown = render_tags(data)
    assert (shown["2001,1060"]["Name"], shown["2001,1060"]["Value"]) == ("Count", "1.5")
    assert (shown["2001,1062"]["Name"], shown["2001,1062"]["Value"]) == ("Text", "abc ")


def test_dicom_json_content_and_queries_read_them_alike() -> None:
    data = file(*PRIVATE)
    shown = render_dicom_json(data)
    assert shown["20011060"] == {"vr": "US", "Value": [5]}
    assert shown["2001105F"]["Value"][0]["20011160"] == {"vr": "US", "Value": [7]}
    assert content(data, ["2001-105f", "0", "CodeValue"]) == b"CODE"
    wanted = (0x2001105F, 0x20011060, 0x20011061, 0x20011062)
    found = pick(data, wanted, "Latin1")
    assert (found[0x20011060], found[0x20011061], found[0x20011062]) == ("5", "1.5", "abc")
    assert found[0x2001105F] == ({0x00080100: "CODE", 0x20010011: "Philips", 0x20011160: "7"},)
    keys, vrs = decode_dataset(implicit(0x20010010, b"Philips ") + implicit(0x20011061, b"1.5 "), IMPLICIT_LE, "Latin1")
    assert (keys[0x20011061], vrs[0x20011061]) == ("1.5", "DS")


def test_the_index_keeps_them_as_their_entries_have_them() -> None:
    tags = (0x00091001, 0x2001105F, 0x20011060, 0x20011062, 0x2001125F, 0x20011261)
    kept = summarize(file(*PRIVATE), plan=IndexPlan({Level.INSTANCE: tags})).tags[Level.INSTANCE]
    assert is_sequence(0x2001105F, kept[0x2001105F])
    assert '"Value":"CODE"' in sequence_json(kept.pop(0x2001105F))
    assert kept == {0x00091001: "nobody's", 0x20011060: "5", 0x20011062: "abc"}


def test_without_entries_private_elements_are_unknown() -> None:
    set_additions(Additions())
    shown = render_tags(file(*PRIVATE))
    assert {tag["Name"] for key, tag in shown.items() if key.startswith("2001,1")} == {UNKNOWN_NAME}
    assert all(tag["Value"] is None for key, tag in shown.items() if key.startswith("2001,1"))


def test_sequences_in_sequences_without_end_are_no_trap() -> None:
    owner, inner = implicit(0x20010010, b"Philips "), CODE
    for _ in range(2000):
        inner = implicit(0x2001105F, item(owner, inner))
    assert render_tags(file(owner, inner))["2001,105f"]["Type"] == "Sequence"
    assert render_dicom_json(file(owner, inner))["2001105F"]["vr"] == "SQ"
    assert pick(file(owner, inner), (0x2001105F,), "Latin1")


def test_tags_that_are_known_by_default_are_named_as_words_in_a_row() -> None:
    assert find_private(0x00291008, "SIEMENS CSA HEADER") is None
    set_additions(Additions((), has_builtin=True))
    assert find_private(0x00291008, "SIEMENS CSA HEADER") == ("CS", "CSAImageHeaderType")
    assert find_private(0x00291108, "SIEMENS CSA HEADER") == ("CS", "CSAImageHeaderType")
    assert find_private(0x00291008, "nobody at all") is None
    set_additions(Additions((Addition(0x00290008, "LO", "Mine", "SIEMENS CSA HEADER"),), has_builtin=True))
    assert find_private(0x00291008, "SIEMENS CSA HEADER") == ("LO", "Mine")
