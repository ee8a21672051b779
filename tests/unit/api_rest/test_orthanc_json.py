"""The layout of JSON is Orthanc's, byte for byte."""

import json

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


def test_xml_is_given_only_to_who_asks_for_nothing_else() -> None:
    assert all(map(orthanc_xml.is_wanted, ("application/xml", " application/xml", "application/xml;q=1")))
    others = ("", "*/*", "APPLICATION/XML", "application/*", "text/xml", "application/xml, */*")
    assert not any(map(orthanc_xml.is_wanted, others))
