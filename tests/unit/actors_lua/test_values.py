"""Values and JSON survive the way through Lua."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.services.lua.json_reader import BadJson, parse_json
from actors.services.lua.json_writer import quoted
from actors.services.lua.runtime import Interpreter
from actors.services.scripts.values import number_text, ready

INTERPRETER = Interpreter()
INTERPRETER.load(
    b"function Same(v) return v end function Json(v, keep) return DumpJson(v, keep) end function Parse(s) return ParseJson(s) end",
    "f",
)
INTERPRETER.load(b"function Text(v) return tostring(v) end function Number(s) return tonumber(s) end", "f")

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
scalars = st.booleans() | numbers | st.binary(max_size=20)
names = st.binary(min_size=1, max_size=8).filter(lambda name: not name.isdigit())
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)


def through_lua(value: Any) -> Any:
    """An empty dict comes back as an empty list: Lua cannot tell them apart."""
    if isinstance(value, dict):
        return {key: through_lua(member) for key, member in value.items()} or []
    return [through_lua(member) for member in value] if isinstance(value, list) else value


@given(values)
def test_values_come_back_as_they_were(value: Any) -> None:
    (result,) = INTERPRETER.call("Same", value)
    expected = through_lua(value)
    assert result == expected
    assert repr(result).replace("'", '"').count("True") == repr(expected).replace("'", '"').count("True")


@given(st.recursive(st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=9),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé", min_size=1, max_size=5), inner, max_size=4), max_leaves=20))  # fmt: skip
def test_json_of_strings_is_read_back(value: Any) -> None:
    (text,) = INTERPRETER.call("Json", value, True)
    read = json.loads(text)
    assert text.isascii()
    assert ready(read) == through_lua(ready(as_strings(value)))
    assert INTERPRETER.call("Parse", text) == (through_lua(ready(read)),)


def as_strings(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_strings(member) for key, member in value.items()}
    if isinstance(value, list):
        return [as_strings(member) for member in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(st.binary(max_size=40))
def test_any_bytes_make_valid_json(text: bytes) -> None:
    assert isinstance(json.loads(quoted(text)), str)


@given(numbers)
def test_numbers_are_written_as_lua_writes_them(value: float) -> None:
    assert INTERPRETER.call("Text", value) == (number_text(value),)


@settings(max_examples=300)
@given(
    st.text('[]{}",:0123456789.eE+-tfn/* \\ud8', max_size=30)
    | st.binary(max_size=30).map(lambda b: b.decode("latin-1"))
)
def test_the_reader_ends_with_a_value_or_bad_json(text: str) -> None:
    with contextlib.suppress(BadJson):
        parse_json(text.encode("latin-1"))


@given(values)
def test_both_readers_agree(value: Any) -> None:
    text = json.dumps(as_text(value), allow_nan=False) if is_finite(value) else "0"
    slow = parse_json(text.encode() + b" \\ud")  # what follows a value is not read, but it takes the slow reader
    assert parse_json(text.encode()) == slow


def as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.decode("latin-1"): as_text(member) for key, member in value.items()}
    if isinstance(value, list):
        return [as_text(member) for member in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(is_finite(member) for member in value.values())
    if isinstance(value, list):
        return all(is_finite(member) for member in value)
    return not isinstance(value, float) or abs(value) < float("inf")
