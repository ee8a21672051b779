"""Datasets that come over the network: what their senders put around them, and whose instance they are.

Unless a test says otherwise, Orthanc 1.12.7 takes and refuses the same, and so stores the same instance.
"""

import hashlib
import zlib
from struct import pack

import pytest

from events.errors import InvalidDicom, MissingTag
from store.dicom.elements import read_elements
from store.dicom.part10 import find_dataset, open_part10
from store.dicom.received import Announced, DatasetMismatch
from store.dicom.rendering import render_header, render_tags
from store.dicom.summary import summarize
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.ingest_stage import Gate, both_ways
from tests.unit.store_dicom.dicom_bytes import ITEM_END, SEQUENCE_END, big, explicit, implicit, item, sequence

MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"
SOP, OTHER = "2.25.7305.1.1", "2.25.7305.9.99"
JPEG = "1.2.840.10008.1.2.4.70"
UNDEFINED = 0xFFFFFFFF
SYNTAXES = {"explicit": EXPLICIT_LE, "implicit": IMPLICIT_LE, "big endian": EXPLICIT_BE, "deflated": DEFLATED_LE}

every_syntax = pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=list(SYNTAXES))


def element(tag: int, vr: str, value: bytes, syntax: str = EXPLICIT_LE) -> bytes:
    if syntax == IMPLICIT_LE:
        return implicit(tag, value)
    return big(tag, vr, value) if syntax == EXPLICIT_BE else explicit(tag, vr, value)


def uid(text: str) -> bytes:
    return text.encode() + bytes(len(text) & 1)


def elements(syntax: str = EXPLICIT_LE, **changes: bytes | None) -> dict[str, bytes]:
    made = {
        "sop_class": element(0x00080016, "UI", uid(MR), syntax),
        "sop": element(0x00080018, "UI", uid(SOP), syntax),
        "name": element(0x00100010, "PN", b"Doe^Jane", syntax),
        "patient": element(0x00100020, "LO", b"PAT1", syntax),
        "study": element(0x0020000D, "UI", uid("2.25.7305.1"), syntax),
        "series": element(0x0020000E, "UI", uid("2.25.7305.2"), syntax),
        "pixels": element(0x7FE00010, "OW", bytes(range(16)), syntax),
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def dataset(syntax: str = EXPLICIT_LE, **changes: bytes | None) -> bytes:
    return b"".join(elements(syntax, **changes).values())


def sent(data: bytes, syntax: str) -> bytes:
    """A dataset as it travels."""
    if syntax != DEFLATED_LE:
        return data
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def announced(syntax: str = EXPLICIT_LE, sop: str = SOP, sop_class: str = MR) -> Announced:
    return Announced(sop_class, sop, syntax)


def stored_dataset(file: bytes) -> bytes:
    opened = open_part10(file)
    return bytes(opened.data[opened.start :])


def must_be_one_instance(gate: Gate, sop: str = SOP, patient: str = "PAT1") -> bytes:
    """Every reader of the stored file names the same instance; returns the file."""
    file = gate.read()
    (record,) = gate.instances
    assert record.tags[0x00080018] == sop
    assert summarize(file).sop_uid == sop
    assert summarize(file).ids.instance == record.id
    tags = render_tags(file, "simplify")
    assert (tags["SOPInstanceUID"], tags["PatientID"]) == (sop, patient)
    header = render_header(file, "simplify")
    assert header["MediaStorageSOPInstanceUID"] == sop
    assert record.size_bytes == len(file)
    assert record.md5 == hashlib.md5(file, usedforsecurity=False).digest()
    assert list(gate.files.values()) == [file]
    return file


# --- padding ---

PADDING = {
    "one zero": bytes(1),
    "two zeros": bytes(2),
    "seven zeros": bytes(7),
    "eight zeros": bytes(8),
    "a block of zeros": bytes(512),
    "many blocks of zeros": bytes(100_000),
    "two blanks": b"  ",
    "a line end": b"\r\n",
    "six stray bytes": b"abcdef",
    "an item delimiter": pack("<HHI", 0xFFFE, 0xE00D, 0),
    "a sequence delimiter": pack("<HHI", 0xFFFE, 0xE0DD, 0),
    "delimiters and zeros": ITEM_END + SEQUENCE_END + bytes(6),
    "the beginning of a header": b"\xfc\xff\x10\0LO",
    "blanks as long as an element": b" " * 20_000,
    "trailing padding that is cut short": explicit(0xFFFCFFFC, "OB", bytes(4), 100),
}


@both_ways
@pytest.mark.parametrize("kind", PADDING)
@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE], ids=["explicit", "implicit", "deflated"])
def test_what_pads_a_dataset_is_not_kept(gate: Gate, syntax: str, kind: str) -> None:
    whole = dataset(syntax)
    padding = PADDING[kind]
    if kind == "trailing padding that is cut short" and syntax == IMPLICIT_LE:
        padding = implicit(0xFFFCFFFC, bytes(4), 100)
    assert gate.receive(sent(whole + padding, syntax), announced(syntax), chunk=701).status == "Success"
    assert stored_dataset(must_be_one_instance(gate)) == whole


@pytest.mark.parametrize("kind", ["two zeros", "eight zeros", "six stray bytes"])
def test_padding_in_big_endian(gate: Gate, kind: str) -> None:
    whole = dataset(EXPLICIT_BE)
    gate.receive(whole + PADDING[kind], announced(EXPLICIT_BE))
    assert stored_dataset(must_be_one_instance(gate)) == whole


ODD = {
    "pixels": {"pixels": explicit(0x7FE00010, "OB", b"abcdefg")},
    "pixels of zeros": {"pixels": explicit(0x7FE00010, "OB", bytes(7))},
    "a document": {"pixels": explicit(0x00420011, "OB", b"%PDF-1.4x")},
    "a text": {"pixels": explicit(0x00400280, "ST", b"odd")},
}


@both_ways
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_last_element_and_the_byte_that_makes_the_fragment_even(gate: Gate, kind: str) -> None:
    whole = dataset(EXPLICIT_LE, **ODD[kind])
    gate.receive(whole + b"\0", announced())
    assert stored_dataset(must_be_one_instance(gate)) == whole


@both_ways
def test_a_dataset_without_padding_is_kept_as_it_came(gate: Gate) -> None:
    for syntax in SYNTAXES.values():
        whole = dataset(syntax, pixels=element(0x7FE00010, "OW", bytes(64), syntax))
        result = gate.receive(sent(whole, syntax), announced(syntax))
        assert result.status in {"Success", "AlreadyStored"}
    trailing = dataset(sop=explicit(0x00080018, "UI", uid(OTHER))) + explicit(0xFFFCFFFC, "OB", bytes(10))
    gate.receive(trailing, announced(sop=OTHER))
    assert trailing in {stored_dataset(file) for file in gate.files.values()}


NO_PADDING = {
    "eight stray bytes": b"abcdefgh",
    "an element that is cut": explicit(0x00400280, "ST", b"ab", 100),
    "elements behind an item delimiter": ITEM_END + explicit(0x00400280, "ST", b"text"),
    "a lone item": item(b""),
    "zeros and then something": bytes(16) + b"abcd" + bytes(5),
}


@both_ways
@pytest.mark.parametrize("kind", NO_PADDING)
def test_what_may_be_the_rest_of_an_element_is_refused(gate: Gate, kind: str) -> None:
    with pytest.raises(InvalidDicom):
        gate.receive(dataset() + NO_PADDING[kind], announced())
    assert not gate.files


@pytest.mark.parametrize("kind", ["one zero", "two zeros", "seven zeros", "two blanks", "six stray bytes"])
def test_files_that_are_uploaded_may_not_be_padded(gate: Gate, kind: str) -> None:
    gate.receive(dataset(), announced())
    file = gate.read()
    with pytest.raises(InvalidDicom):
        gate.send(file + PADDING[kind])
    assert gate.send(file).status == "AlreadyStored"


# --- what belongs into a file or a command ---

FILE_META = explicit(0x00020001, "OB", b"\0\1") + explicit(0x00020003, "UI", uid(OTHER))


def foreign(syntax: str) -> dict[str, bytes]:
    def meta(name: str) -> bytes:
        return element(0x00020010, "UI", uid(name), syntax)

    whole = element(0x00020003, "UI", uid(OTHER), syntax) + meta(syntax)
    wrong = element(0x00020000, "UL", pack(">I" if syntax == EXPLICIT_BE else "<I", 4), syntax)
    length = element(0x00020000, "UL", pack(">I" if syntax == EXPLICIT_BE else "<I", len(whole)), syntax)
    return {
        "its own transfer syntax": meta(syntax),
        "another transfer syntax": meta(IMPLICIT_LE if syntax != IMPLICIT_LE else EXPLICIT_LE),
        "JPEG": meta(JPEG),
        "deflated": meta(DEFLATED_LE),
        "an unknown transfer syntax": meta("1.2.3"),
        "all of a file's head, of another instance": length + whole,
        "a wrong group length": wrong + whole,
        "a file's head, in explicit VR as always": FILE_META + explicit(0x00020010, "UI", uid(JPEG)),
        "a file's preamble and head": bytes(128) + b"DICM" + FILE_META,
        "elements of a command": element(0x00000002, "UI", uid(CT), syntax),
        "elements of a command in implicit VR, as always": implicit(0x00000000, pack("<I", 20))
        + implicit(0x00000002, uid(CT)),
        "a command and a head": element(0x00000002, "UI", uid(CT), syntax) + whole,
    }


@both_ways
@pytest.mark.parametrize("kind", foreign(EXPLICIT_LE))
@every_syntax
def test_what_belongs_elsewhere_has_no_say(gate: Gate, syntax: str, kind: str) -> None:
    if syntax == EXPLICIT_BE and kind == "elements of a command in implicit VR, as always":
        return  # can be told from nothing there: it is refused, as by Orthanc
    whole = dataset(syntax)
    gate.receive(sent(foreign(syntax)[kind] + whole, syntax), announced(syntax))
    file = must_be_one_instance(gate)
    assert stored_dataset(file) == whole
    assert gate.instances[0].transfer_syntax == syntax
    assert render_header(file, "simplify")["TransferSyntaxUID"] == syntax


@both_ways
def test_a_head_and_padding_together(gate: Gate) -> None:
    gate.receive(FILE_META + dataset() + bytes(3), announced(), chunk=7)
    assert stored_dataset(must_be_one_instance(gate)) == dataset()


def test_without_hashing_a_trimmed_file_has_no_digest(gate: Gate) -> None:
    gate.settings = gate.settings.__class__(hash=False, sync=False)
    gate.receive(dataset() + bytes(2), announced())
    assert gate.instances[0].md5 == b""


# --- whose instance it is ---

SAME = {
    "trailing blanks": element(0x00080018, "UI", SOP.encode() + b"   "),
    "a leading blank": element(0x00080018, "UI", b" " + SOP.encode()),
    "zeros": element(0x00080018, "UI", SOP.encode() + bytes(3)),
    "an odd length": element(0x00080018, "UI", SOP.encode()),
    "a second one behind it": element(0x00080018, "UI", uid(SOP)) + element(0x00080018, "UI", uid(OTHER)),
    "another one in a sequence before it": sequence(0x00081115, item(element(0x00080018, "UI", uid(OTHER))))
    + element(0x00080018, "UI", uid(SOP)),
}


@both_ways
@pytest.mark.parametrize("kind", SAME)
def test_one_instance_has_one_identity(gate: Gate, kind: str) -> None:
    gate.receive(dataset(sop=SAME[kind]), announced())
    must_be_one_instance(gate)


@pytest.mark.parametrize("sop", [SOP + " ", " " + SOP, SOP + "\0", SOP + "\0\0 ", SOP + "\0" + "9"])
def test_the_command_s_identity_may_be_padded_too(gate: Gate, sop: str) -> None:
    gate.receive(dataset(), announced(sop=sop))
    must_be_one_instance(gate)


def test_the_first_of_elements_that_occur_twice_counts_everywhere(gate: Gate) -> None:
    """Also of those that are out of order, of which a reader that stops early would find none."""
    made = elements()
    made["patient"] += element(0x00100020, "LO", b"SECOND")
    late = made.pop("sop")
    gate.receive(b"".join(made.values()) + late + element(0x00080018, "UI", uid(OTHER)), announced())
    file = must_be_one_instance(gate)
    assert [each.tag for each in read_elements(file, find_dataset(file), open_part10(file).syntax)].count(
        0x00080018
    ) == 2


def test_several_values_are_one_identity(gate: Gate) -> None:
    both = SOP + "\\" + OTHER
    with pytest.raises(DatasetMismatch):
        gate.receive(dataset(sop=element(0x00080018, "UI", uid(both))), announced())
    gate.receive(dataset(sop=element(0x00080018, "UI", uid(both))), announced(sop=both))
    must_be_one_instance(gate, both)


ANOTHER = {
    "another instance": dataset(sop=element(0x00080018, "UI", uid(OTHER))),
    "another class": dataset(sop_class=element(0x00080016, "UI", uid(CT))),
    "the announced one as second": dataset(
        sop=element(0x00080018, "UI", uid(OTHER)) + element(0x00080018, "UI", uid(SOP))
    ),
    "the announced one in a sequence": dataset(
        sop=sequence(0x00081115, item(element(0x00080018, "UI", uid(SOP)))) + element(0x00080018, "UI", uid(OTHER))
    ),
    "another one at the very end": dataset(sop=None) + element(0x00080018, "UI", uid(OTHER)),
    "another one behind a long sequence": dataset(
        sop=explicit(0x00080006, "SQ", item(explicit(0x00420011, "OB", bytes(1 << 17))))
        + element(0x00080018, "UI", uid(OTHER))
    ),
    "another one behind an open sequence": dataset(
        sop=explicit(0x00080006, "SQ", item(b"") + SEQUENCE_END, UNDEFINED) + element(0x00080018, "UI", uid(OTHER))
    ),
    "the announced one in a file's head": explicit(0x00020003, "UI", uid(SOP))
    + dataset(sop=element(0x00080018, "UI", uid(OTHER))),
}


@both_ways
@pytest.mark.parametrize("kind", ANOTHER)
def test_another_instance_than_announced_is_refused(gate: Gate, kind: str) -> None:
    with pytest.raises(DatasetMismatch):
        gate.receive(ANOTHER[kind], announced())
    assert not gate.files


@pytest.mark.parametrize("missing", ["sop", "sop_class", "study", "series"])
def test_an_instance_that_does_not_say_what_it_is_is_refused(gate: Gate, missing: str) -> None:
    with pytest.raises((InvalidDicom, MissingTag)):
        gate.receive(dataset(EXPLICIT_LE, **{missing: None}), announced())
    assert not gate.files


@pytest.mark.parametrize(
    ("told", "real"), [(EXPLICIT_LE, IMPLICIT_LE), (IMPLICIT_LE, EXPLICIT_LE), (EXPLICIT_LE, EXPLICIT_BE)]
)
def test_a_dataset_in_another_syntax_than_negotiated_is_refused(gate: Gate, told: str, real: str) -> None:
    with pytest.raises(InvalidDicom):
        gate.receive(dataset(real), announced(told))
    assert not gate.files
