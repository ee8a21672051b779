"""The layout of JSON is Orthanc's, byte for byte."""

import json
from collections.abc import Callable, Iterator
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rest.serving import orthanc_json, orthanc_xml

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)

# As Orthanc 1.12.7 printed it: GET /studies/… of pydicom's chrGreek.dcm, and GET /nope.
STUDY = r"""{
   "ID" : "2840c3ad-19c9187d-d4a369d5-222d80cb-d1c68ba3",
   "IsStable" : true,
   "Labels" : [],
   "PatientMainDicomTags" :_
   {
      "PatientName" : "\u0394\u03b9\u03bf\u03bd\u03c5\u03c3\u03b9\u03bf\u03c2"
   },
   "Series" :_
   [
      "c353cef5-2e02f208-cf3ec22b-b73dd284-6d547a4d"
   ]
}""".replace("_", " ")  # a blank ends the line
ERROR = """{
\t"HttpError" : "Not Found",
\t"HttpStatus" : 404,
\t"Uri" : "/nope"
}"""


def test_an_object_is_printed_as_orthanc_prints_it() -> None:
    value = json.loads(STUDY)
    assert orthanc_json.encode(dict(reversed(value.items()))) == STUDY.encode()


def test_errors_are_indented_with_tabs() -> None:
    assert orthanc_json.encode(json.loads(ERROR), orthanc_json.ERROR_INDENT) == ERROR.encode()


def test_empty_values_stay_on_their_line() -> None:
    assert orthanc_json.encode({}) == b"{}"
    assert orthanc_json.encode([]) == b"[]"
    assert orthanc_json.encode({"a": {}, "b": []}) == b'{\n   "a" : {},\n   "b" : []\n}'


@given(VALUES)
def test_what_is_printed_means_the_value(value: object) -> None:
    assert json.loads(orthanc_json.encode(value)) == value


@given(st.lists(st.lists(VALUES, max_size=3), max_size=4))
def test_a_list_in_pieces_has_the_bytes_of_the_whole(pieces: list[list[object]]) -> None:
    whole = [item for piece in pieces for item in piece]
    assert b"".join(orthanc_json.encode_list(pieces)) == orthanc_json.encode(whole)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_an_object_in_pieces_has_the_bytes_of_the_whole(value: dict[str, object]) -> None:
    members = sorted(value.items())
    assert b"".join(orthanc_json.encode_object(members)) == orthanc_json.encode(value)


@given(st.lists(st.lists(VALUES, max_size=3), max_size=4))
def test_a_list_in_an_object_may_come_in_pieces(pieces: list[list[object]]) -> None:
    whole = {"A": 1, "B": [item for piece in pieces for item in piece], "C": []}
    for encoder in (orthanc_json, orthanc_xml):
        members: list[tuple[str, object]] = [("A", 1), ("B", iter(pieces)), ("C", iter(()))]
        assert b"".join(encoder.encode_object(members)) == encoder.encode(whole)


def test_xml_is_that_of_orthanc() -> None:
    value = {
        "Done": True,
        "Exports": [],
        "Last": 0,
        "Name": "a<b",
        "Nothing": None,
        "Text": "",
        "Many": [{"A": "1"}, {}],
    }
    assert orthanc_xml.encode(value).decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<root>\n  <Done>true</Done>\n  <Exports />\n  <Last>0</Last>\n'
        "  <Many>\n    <item>\n      <A>1</A>\n    </item>\n    <item />\n  </Many>\n  <Name>a&lt;b</Name>\n"
        "  <Nothing>null</Nothing>\n  <Text></Text>\n</root>\n"
    )


def test_numbers_texts_and_names_as_orthanc_1_12_7_has_them_in_xml() -> None:
    runtimes = {0.0: "0", 0.001: "0.00100000005", 0.019: "0.0189999994", 0.024: "0.0240000002"}
    for number, shown in runtimes.items():
        assert orthanc_xml.encode([number]).decode().count(f"  <item>{shown}</item>\n") == 1
    value = {" <&>": "\x01\x08\t\n\x0b\r\x1f\x7f\u2028", "Cut": "a\0b", "Long": -(2**40)}
    assert orthanc_xml.encode(value).decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<root>\n'
        "  < <&>>&#01;&#08;\t\n&#11;\r&#31;\x7f\u2028</ <&>>\n  <Cut>a</Cut>\n  <Long>-1099511627776</Long>\n</root>\n"
    )


@given(st.lists(st.lists(VALUES, max_size=3), max_size=4))
def test_a_list_in_pieces_has_the_xml_of_the_whole(pieces: list[list[object]]) -> None:
    whole = [item for piece in pieces for item in piece]
    assert b"".join(orthanc_xml.encode_list(pieces)) == orthanc_xml.encode(whole)


@pytest.mark.parametrize("encode_list", [orthanc_json.encode_list, orthanc_xml.encode_list])
def test_a_piece_of_a_list_leaves_before_the_next_is_made(
    encode_list: Callable[[Iterator[list[int]]], Iterator[bytes]],
) -> None:
    made = ([number] for number in count())
    for number, piece in enumerate(islice(encode_list(made), 100)):
        assert str(number).encode() in piece
    assert next(made) == [100]


def test_xml_is_given_to_who_asks_for_it_last() -> None:
    """Told apart as by Orthanc 1.12.7, which has been asked all of them (`tests/peer/test_xml.py`)."""
    wanted = ("application/xml", " application/xml", "application/xml;q=1", "application/json;application/xml")
    assert all(map(orthanc_xml.is_wanted, (*wanted, "application/xml;q=0.9, */*", "a/b;application/xml")))
    others = ("", "*/*", "APPLICATION/XML", "application/*", "text/xml", "application/xml, */*", "application/xml ;q=1")
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert not any(map(orthanc_xml.is_wanted, (*others, browser, "application/xml;application/json")))
