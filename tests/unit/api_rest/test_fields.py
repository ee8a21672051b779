"""Fields of JSON bodies; the messages are those of Orthanc 1.12.7."""

import pytest

from api.errors import BadField
from api.rest import fields
from events.errors import InvalidJson

BODY = {"Text": "x", "Flag": True, "Whole": 3, "Negative": -1, "Float": 1.5}


def test_what_is_there_is_given() -> None:
    assert fields.text(BODY, "Text") == "x"
    assert fields.flag(BODY, "Flag", default=False) is True
    assert fields.whole(BODY, "Whole", default=0) == 3


def test_what_is_not_there_is_the_default() -> None:
    assert fields.text(BODY, "None", default="d") == "d"
    assert fields.flag(BODY, "None", default=True) is True
    assert fields.whole(BODY, "None", default=7) == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Flag", "Integer value expected in field: Flag"),
        ("Text", "Integer value expected in field: Text"),
        ("Float", "Integer value expected in field: Float"),
        ("Negative", "Unsigned integer value expected in field: Negative"),
    ],
)
def test_a_number_must_be_whole_and_not_negative(name: str, message: str) -> None:
    with pytest.raises(BadField) as caught:
        fields.whole(BODY, name, default=0)
    assert str(caught.value) == message


def test_texts_and_flags_must_be_what_they_are_called() -> None:
    with pytest.raises(BadField, match="String value expected in field: Whole"):
        fields.text(BODY, "Whole")
    with pytest.raises(BadField, match="String value expected in field: None"):
        fields.text(BODY, "None")
    with pytest.raises(BadField, match="Boolean value expected in field: Whole"):
        fields.flag(BODY, "Whole", default=False)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[1,{"a":'])
@pytest.mark.parametrize("depth", [101, 1_000, 100_000])
def test_json_that_is_nested_too_deep_is_refused_whether_it_ends_or_not(opening: str, depth: int) -> None:
    closing = "".join({"[": "]", "{": "}"}[mark] for mark in reversed(opening) if mark in "[{")
    with pytest.raises(InvalidJson, match="100 deep"):
        fields.parse_json(opening * depth + "1" + closing * depth)
    assert fields.parse_json("[" * 100 + "]" * 100) is not fields.NOT_JSON


@pytest.mark.parametrize("text", ["", "x", "{", "[" * 100])
def test_what_is_no_json_is_told_apart_from_null(text: str) -> None:
    assert fields.parse_json(text) is fields.NOT_JSON
    assert fields.parse_json("null") is None
