"""Identifiers of C-FIND: values to bytes and back, and tags picked out of files."""

import pytest

from actors.services.remote.asking import decode
from actors.services.remote.find_scu import Match
from events.errors import InvalidDicom, PeerFailed
from store.dicom.charset_encoding import can_encode, defined_term, encode_text
from store.dicom.charsets import ENCODINGS, charset_of
from store.dicom.dictionary import dictionary_vr
from store.dicom.identifier import decode_dataset, encode_dataset, parse_items, pick
from store.dicom.matching import Dataset
from tests import data_factory
from tests.data_factory import Sample, dataset, encode

SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
VALUES: Dataset = {
    0x00080005: "ISO_IR 192",
    0x00080052: "STUDY",
    0x00080061: "CT\\MR",
    0x00081032: ({0x00080100: "T-D1100", 0x00080104: "Kopf"}, {}),
    0x00100010: "Yamada^Tarou=山田^太郎",
    0x0020000D: "1.2.3",
    0x00201208: "4",
    0x00280009: "0018,1063",
    0x00280010: "512",
    0x00660016: "1.5\\-2.25",
    0x00660022: "0.10000000000000001\\2",
    0x00660040: "7\\4294967295",
    0x7FE00001: "18446744073709551615",
    0x00189087: "0.10000000000000001",
    0x0040A160: "x" * 70_000,
}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_encoded_decodes_to_the_same(syntax: str) -> None:
    decoded, unknown = decode_dataset(encode_dataset(VALUES, syntax, "Utf8"), syntax, "Latin1")
    assert decoded == VALUES
    assert unknown == {}


PADDING = {
    "a zero": bytes(1),
    "two zeros": bytes(2),
    "zeros as long as an element": bytes(16),
    "a line end": b"\r\n",
    "blanks": b" " * 12,
    "stray bytes": b"abcdefg",
    "a file's fill": b"\xff" * 9,
}


@pytest.mark.parametrize("kind", PADDING)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_a_peer_has_padded_decodes_to_the_same(syntax: str, kind: str) -> None:
    data = encode_dataset(VALUES, syntax, "Utf8") + PADDING[kind]
    assert decode_dataset(data, syntax, "Latin1") == (VALUES, {})
    # An answer of /queries, as it was kept.
    assert decode(Match(data, syntax), "Latin1") == VALUES


@pytest.mark.parametrize("head", [b"\2\0\x10\0UI\x04\x001.2\0", b"\0\0\0\0\4\0\0\0\1\0\0\0"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_belongs_into_files_and_commands_does_not_stop_a_reader(syntax: str, head: bytes) -> None:
    if syntax == SYNTAXES[2] and head.startswith(b"\0\0"):
        return  # cannot be told from something else in big endian
    decoded, _ = decode_dataset(head + encode_dataset(VALUES, syntax, "Utf8") + bytes(2), syntax, "Latin1")
    assert decoded == VALUES


@pytest.mark.parametrize("rest", [b"abcdefgh", b"\x10\0\x20\0\x40\0\0\0P", bytes(8) + b"cut" + b"\1" * 6])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_may_be_the_rest_of_a_key_is_refused(syntax: str, rest: bytes) -> None:
    data = encode_dataset(VALUES, syntax, "Utf8") + rest
    with pytest.raises(InvalidDicom):
        decode_dataset(data, syntax, "Latin1")
    with pytest.raises(PeerFailed):
        decode(Match(data, syntax), "Latin1")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_has_no_value_is_empty(syntax: str) -> None:
    nothing: Dataset = {0x00100010: None, 0x00280010: "many", 0x7FE00010: "x", 0x00081032: "text"}
    decoded, _ = decode_dataset(encode_dataset(nothing, syntax, "Latin1"), syntax, "Latin1")
    assert decoded == {0x00100010: "", 0x00280010: None, 0x7FE00010: None, 0x00081032: ()}


def test_a_private_tag_is_sent_as_unknown_and_read_as_text() -> None:
    data = encode_dataset({0x00091001: "private"}, SYNTAXES[1], "Latin1")
    assert data == b"\x09\0\x01\x10UN\0\0\x08\0\0\0private\0"
    decoded, unknown = decode_dataset(data, SYNTAXES[1], "Latin1")
    assert decoded == {0x00091001: "private"}
    assert unknown == {0x00091001: "UN"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_has_a_term_that_declares_it(encoding: str) -> None:
    term = defined_term(encoding)
    declared = charset_of(term, "Ascii").encoding
    assert declared == ("Cyrillic" if encoding == "Windows1251" else encoding)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("Latin1", "Jérôme"),
        ("Cyrillic", "Люкс"),
        ("JapaneseKanji", "山田^太郎"),
        ("Korean", "홍^길동"),
        ("Chinese", "王^小东"),
    ],
)
def test_text_comes_back_from_its_set(encoding: str, text: str) -> None:
    assert can_encode(text, encoding)
    assert charset_of(defined_term(encoding), "Ascii").decode(encode_text(text, encoding)) == text


def test_what_a_set_lacks_is_left_out() -> None:
    assert not can_encode("Yamada=山田", "Latin1")
    assert encode_text("Yamada=山田", "Latin1") == b"Yamada="


@pytest.mark.parametrize("sample", data_factory.made_files(), ids=lambda sample: sample.name)
def test_picked_tags_of_a_file_are_text_or_nothing(sample: Sample) -> None:
    tags = (0x00100010, 0x0020000D, 0x00280010, 0x00081110, 0x7FE00010, 0x00091001)
    picked = pick(sample.data, tags, "Latin1")
    assert isinstance(picked[0x0020000D], str)
    assert picked.keys() <= set(tags)
    assert isinstance(picked.get(0x00081110, ()), tuple)
    assert dictionary_vr(0x00081110) == "SQ"


def test_a_sequence_is_picked_with_its_items() -> None:
    item = dataset()
    item.clear()
    item.CodeValue = "T-D1100"
    made = dataset(ProcedureCodeSequence=[item])
    assert pick(encode(made), (0x00081032,), "Latin1") == {0x00081032: ({0x00080100: "T-D1100"},)}


def test_items_of_the_index_are_read_as_those_of_a_file() -> None:
    rendered = '[{"0008,0100":{"Name":"CodeValue","Type":"String","Value":"1"},"0008,1115":{"Name":"","Type":"Sequence","Value":[{}]}}]'
    assert parse_items(rendered) == ({0x00080100: "1", 0x00081115: ({},)},)
