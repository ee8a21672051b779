"""No byte of what an anonymisation takes out is left, however it was hidden: the files here are as odd as their readers let through.

Elements of the profile, private ones, curves, group lengths and heads in items have any VR and any text, in whichever depth and order,
twice, too; sequences have defined and undefined lengths, and say that they are sequences, UN or OB.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from store.dicom.change.basic_profile import EDITIONS, profile
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Editor
from store.dicom.change.request import Flags, read_anonymize
from store.dicom.dictionary import dictionary_vr
from store.dicom.elements import read_elements
from store.dicom.inflating import deflate
from store.dicom.part10 import file_meta, open_part10
from tests.dicom_bytes import MR
from tests.examples import examples

SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless,
)  # fmt: skip
SECRETS = (
    *("Geheim^Jürgen".encode(charset) for charset in ("utf-8", "latin-1")),
    *("山田^太郎=やまだ^たろう".encode(charset) for charset in ("utf-8", "iso2022_jp", "gb18030", "shift_jis")),
    "홍^길동=洪^吉洞".encode("iso2022_kr"), "王^小东先生".encode("gb18030"), "Люкceмбypг".encode("iso8859-5"),
    b"Doe^Jane\\Doe^Joan", b"19610203", b"2.25.4711.1\0", b"1.2.4711.9\\1.2.4711.8", b"ID-4711", b"\x00\x01secret\xff\xfe",
)  # fmt: skip
STAYS = b"This may stay."
NEUTRAL = (
    0x00080008,
    0x00080060,
    0x00080070,
    0x00180015,
    0x00081FF0,
)  # in no edition's table; the last in no dictionary
KNOWN_SEQUENCES = (0x00081140, 0x00082112, 0x00400260)  # likewise
NEUTRAL_SEQUENCES = (*KNOWN_SEQUENCES, 0x00081FF1)
PRIVATE = (0x00090010, 0x00091001, 0x00110000, 0x00291099, 0xFFFF1010)
PRIVATE_SEQUENCES = (0x00091001, 0x00291099)
CURVES = (0x50000022, 0x50022600, 0x60000022, 0x60003000, 0x60024000, 0x60061500)
FOREIGN = (0x00000110, 0x00020016, 0x00020102, 0x00080000, 0x00400000)  # of messages, heads, and group lengths
TEXTS = ("LO", "PN", "UT", "UN", "OB", "UI", "DA")


@dataclass(frozen=True)
class Leaf:
    tag: int
    vr: str
    value: bytes


@dataclass(frozen=True)
class Nest:
    """A sequence; `said` is the VR by which it is written."""

    tag: int
    said: str
    undefined: bool
    items: tuple[tuple[bool, tuple["Leaf | Nest", ...]], ...]  # of undefined length or not, and what is in each


Node = Leaf | Nest


@cache
def hidden_tags(edition: str) -> tuple[int, ...]:
    """The attributes that an edition takes out: its table's, who the patient is, and whose values nobody can know."""
    curves = () if edition == "2008" else CURVES
    return (*profile(edition), *(0x00100010, 0x00100020) * 20, *PRIVATE * 10, *curves * 10, *FOREIGN * 5)


def leaves(edition: str) -> st.SearchStrategy[Node]:
    hidden = st.builds(Leaf, st.sampled_from(hidden_tags(edition)), st.sampled_from(TEXTS), st.sampled_from(SECRETS))
    wrong = st.builds(Leaf, st.sampled_from(KNOWN_SEQUENCES), st.sampled_from(TEXTS), st.sampled_from(SECRETS))
    return st.one_of(hidden, hidden, st.builds(Leaf, st.sampled_from(NEUTRAL), st.just("LO"), st.just(STAYS)), wrong)


def nests(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    items = st.lists(st.tuples(st.booleans(), st.lists(inner, max_size=3).map(tuple)), max_size=2).map(tuple)
    public = st.builds(
        Nest, st.sampled_from(NEUTRAL_SEQUENCES), st.sampled_from(("SQ", "SQ", "UN")), st.booleans(), items
    )
    disguised = st.builds(Nest, st.sampled_from(KNOWN_SEQUENCES), st.sampled_from(("OB", "LT")), st.just(False), items)
    private = st.builds(Nest, st.sampled_from(PRIVATE_SEQUENCES), st.sampled_from(("SQ", "UN")), st.booleans(), items)
    return st.one_of(public, public, disguised, private)


def trees(edition: str) -> st.SearchStrategy[list[Node]]:
    return st.lists(st.recursive(leaves(edition), nests, max_leaves=8), min_size=1, max_size=6)


def write(nodes: Sequence[Node], *, explicit: bool, little: bool) -> bytes:
    """Elements in the order in which they are given."""
    return b"".join(_element(node, explicit=explicit, little=little) for node in nodes)


def _element(node: Node, *, explicit: bool, little: bool) -> bytes:
    if isinstance(node, Leaf):
        value = node.value + bytes(len(node.value) & 1)
        if not explicit and dictionary_vr(node.tag) == "SQ":  # no reader takes anything else there
            name = _head(0x00100010, "PN", len(value), explicit=False, little=little) + value
            value = _item(name, undefined=False, little=little)
        return _head(node.tag, node.vr, len(value), explicit=explicit, little=little) + value
    # What is said to be no sequence is in implicit VR little endian (PS3.5 §6.2.2, note 3).
    plain = {"explicit": explicit, "little": little} if node.said == "SQ" else {"explicit": False, "little": True}
    if not explicit:
        plain = {"explicit": False, "little": little}
    value = b"".join(
        _item(write(inner, **plain), undefined=undefined, little=plain["little"]) for undefined, inner in node.items
    )
    if not node.undefined:
        return _head(node.tag, node.said, len(value), explicit=explicit, little=little) + value
    end = _head(0xFFFEE0DD, "", 0, explicit=False, little=plain["little"])
    return _head(node.tag, node.said, 0xFFFFFFFF, explicit=explicit, little=little) + value + end


def _item(value: bytes, *, undefined: bool, little: bool) -> bytes:
    if not undefined:
        return _head(0xFFFEE000, "", len(value), explicit=False, little=little) + value
    end = _head(0xFFFEE00D, "", 0, explicit=False, little=little)
    return _head(0xFFFEE000, "", 0xFFFFFFFF, explicit=False, little=little) + value + end


def _head(tag: int, vr: str, length: int, *, explicit: bool, little: bool) -> bytes:
    order = "<" if little else ">"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return head + struct.pack(order + "I", length)
    if vr in {"OB", "SQ", "UN", "UT"}:
        return head + vr.encode() + bytes(2) + struct.pack(order + "I", length)
    return head + vr.encode() + struct.pack(order + "H", length)


def whole_file(nodes: Sequence[Node], syntax: str) -> bytes:
    explicit, little = syntax != ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    identity = (Leaf(0x00080016, "UI", MR.encode()), Leaf(0x00080018, "UI", b"2.25.4711.1"))
    pixels = b""
    if syntax == JPEG2000Lossless:
        pixels = _head(0x7FE00010, "OB", 0xFFFFFFFF, explicit=True, little=True) + b"".join(
            _item(value, undefined=False, little=True) for value in (b"", b"\xff\x4f pixels\xff\xd9")
        ) + _head(0xFFFEE0DD, "", 0, explicit=False, little=True)  # fmt: skip
    dataset = write((*identity, *nodes), explicit=explicit, little=little) + pixels
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset = deflate(dataset, 0, len(dataset))
    head = file_meta(MR, "2.25.4711.1", syntax, remote_aet="ID-4711")
    return b"Geheim^J" * 16 + head[128:] + dataset


def found_in(data: bytes) -> list[bytes]:
    """The secrets that a file tells, as it is and inflated."""
    seen = data + bytes(open_part10(data).data)
    parts = {part for secret in SECRETS for part in secret.strip(b"\0").split(b"\\")}
    return sorted(part for part in (*parts, b"Geheim") if part in seen)


@pytest.mark.parametrize("edition", EDITIONS)
@settings(max_examples=examples(15), deadline=None)
@given(data=st.data())
def test_no_byte_of_what_leaves_is_left(edition: str, data: st.DataObject) -> None:
    syntax = data.draw(st.sampled_from(SYNTAXES))
    nodes = data.draw(trees(edition))
    source = whole_file(nodes, syntax)
    editor = Editor(read_anonymize({"DicomVersion": edition}, Flags(), "Program"), Drawn(new_secret()), "Latin1")
    result = b"".join(editor.edit(open_part10(source)).parts)
    assert found_in(source)
    assert found_in(result) == []
    file = open_part10(result)
    assert file.transfer_syntax == syntax
    assert read_elements(file.data, file.start, file.syntax)
    again = b"".join(editor.edit(file).parts)
    assert found_in(again) == []
    if any(isinstance(node, Leaf) and node.value == STAYS for node in nodes):
        assert STAYS in bytes(file.data)
