"""The JSON dialect, as Orthanc 1.12.7 was seen to read it."""

import json
from pathlib import Path

import pytest

from events.errors import BadConfiguration
from tools.configuration.dialect import plain, substitute

FILE = Path("x.json")


def replaced(text: str, **environment: str) -> str:
    return substitute(text, environment, FILE)


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ('"${FOO}"', {"FOO": "bar"}, '"bar"'),
        ('"p${FOO}q"', {}, '"pq"'),
        ('"p${FOO:-d}q"', {}, '"pdq"'),
        ('"p${FOO:-d}q"', {"FOO": ""}, '"pq"'),
        ('"p${FOO:-}q"', {}, '"pq"'),
        ('"p${FOO:-a b:-c}q"', {}, '"pa b:-cq"'),
        ("${PORT}", {"PORT": "8042"}, "8042"),
        ('${X}:"v"', {"X": '"Name"'}, '"Name":"v"'),
        ('"${FOO}"', {"FOO": "${BAR}", "BAR": "z"}, '"${BAR}"'),
        ('"$FOO"', {"FOO": "bar"}, '"$FOO"'),
        ('"$${FOO}"', {"FOO": "bar"}, '"$bar"'),
        ('"${a b}"', {"a b": "z"}, '"z"'),
        ('"${FOO:=x}"', {}, '"${FOO:=x}"'),
        ('"${FOO:-${BAR}}"', {"BAR": "z"}, '"${BAR}"'),
        ("\"${A:-x'y'}\"", {}, "\"${A:-x'y'}\""),
        ("${A}${B:-c}${A}", {"A": "1"}, "1c1"),
    ],
)
def test_variables_are_replaced_as_orthanc_does(text: str, environment: dict[str, str], expected: str) -> None:
    assert substitute(text, environment, FILE) == expected


@pytest.mark.parametrize("text", ["${}", "${:-x}"])
def test_a_variable_without_a_name_names_its_line(text: str) -> None:
    with pytest.raises(BadConfiguration, match=r"x\.json: line 2: a variable has no name"):
        replaced(f"\n{text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("// a\n{} // b", {}),
        ("/* a\n * b */ {/**/}", {}),
        ('{"a": "http://x/*y*/"} // "z"', {"a": "http://x/*y*/"}),
        (r'{"a": "\"// no"}', {"a": '"// no'}),
        ('{"a": [1, 2, ], }', {"a": [1, 2]}),
        ('{"a": [1, // last\n ]}', {"a": [1]}),
        ('{"a": ",]"}', {"a": ",]"}),
    ],
)
def test_comments_and_last_commas_are_blanked_outside_strings(text: str, expected: object) -> None:
    assert json.loads(plain(text)) == expected


def test_blanking_keeps_every_line_and_column() -> None:
    text = '{ // one\n /* two\n three */ "a": 1, }'
    blanked = plain(text)
    assert len(blanked) == len(text)
    assert blanked.index('"a"') == text.index('"a"')
    assert blanked.count("\n") == text.count("\n")
