"""Arguments of the query string, and what of them is refused."""

import falcon
import pytest
from falcon import testing

from api.errors import BadType, OutOfRange, UnknownTag
from api.rest import arguments
from api.rest.arguments import Paging, parse_tag
from api.rest.instance_content import file_name
from api.rest.requested_tags import parse_requested_tags
from api.rest.tools import parse_patterns
from events.errors import InvalidDicom, InvalidRequest


def request(query: str) -> falcon.Request:
    return falcon.Request(testing.create_environ(query_string=query))


@pytest.mark.parametrize(
    ("query", "value"),
    [("", False), ("expand", True), ("expand=", True), ("expand=true", True), ("expand=1", True), ("expand=0", False)],
)
def test_a_flag_without_value_is_true(query: str, value: bool) -> None:
    assert arguments.boolean(request(query), "expand") is value


def test_the_last_of_two_flags_counts() -> None:
    assert not arguments.boolean(request("expand&expand=false"), "expand")


@pytest.mark.parametrize("text", ["TRUE", "yes", "xyz", "2"])
def test_a_flag_with_another_value_is_refused(text: str) -> None:
    with pytest.raises(OutOfRange, match=f'Expected a Boolean for GET argument "expand", found: {text}'):
        arguments.boolean(request(f"expand={text}"), "expand")


@pytest.mark.parametrize(
    ("query", "form"),
    [("", "simplify"), ("full", "full"), ("short", "short"), ("full&short", "short"), ("full&simplify", "full")],
)
def test_short_wins_over_full(query: str, form: str) -> None:
    assert arguments.tag_form(request(query), "simplify") == form


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("", Paging(0, 0)),
        ("since=1&limit=2", Paging(1, 2)),
        ("since=0&limit=0", Paging(0, 0)),
        ("since=%2B1&limit=1", Paging(1, 1)),
    ],
)
def test_paging(query: str, page: Paging) -> None:
    assert arguments.paging(request(query), "/patients") == page


def test_since_and_limit_come_together() -> None:
    with pytest.raises(InvalidRequest, match='Missing "limit" argument for GET request against: /patients/'):
        arguments.paging(request("since=1"), "/patients")
    with pytest.raises(InvalidRequest, match='Missing "since" argument'):
        arguments.paging(request("limit=1"), "/patients")


@pytest.mark.parametrize("text", ["", "abc", "-1", "%201", "1.5", "9" * 30, "١"])
def test_numbers_that_do_not_parse_are_refused(text: str) -> None:
    with pytest.raises(BadType):
        arguments.paging(request(f"since={text}&limit=1"), "/patients")


@pytest.mark.parametrize(
    ("query", "values"),
    [("", [0, 100]), ("since=2", [2, 100]), ("since=-5&limit=1", [-5, 1]), ("since=2&limit=abc", [0, 100])],
)
def test_one_bad_number_of_changes_makes_all_default(query: str, values: list[int]) -> None:
    assert arguments.lenient_numbers(request(query), since=0, limit=100) == values


@pytest.mark.parametrize("text", ["PatientName", "0010,0010", "0010-0010", "00100010"])
def test_a_tag_is_written_in_four_ways(text: str) -> None:
    assert parse_tag(text) == 0x00100010


@pytest.mark.parametrize("text", ["", "Foo", "0010", "0010,00100", "patientname"])
def test_a_name_that_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(UnknownTag):
        parse_tag(text)


@pytest.mark.parametrize("name", ["requested-tags", "requestedTags"])
def test_an_unknown_requested_tag_is_refused_in_orthancs_words(name: str) -> None:
    assert parse_requested_tags(request(f"{name}=PatientName;;0008,0060"))
    assert not parse_requested_tags(request(f"{name}="))
    with pytest.raises(InvalidRequest, match="Invalid requested-tags argument: Unknown DICOM tag Foo"):
        parse_requested_tags(request(f"{name}=PatientName;Foo"))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "id.dcm"),
        ("filename=a%20b.dcm", "a%20b.dcm"),
        ("filename=", ""),
        ("filename", ""),
        ('filename=a"b', "a%22b"),
    ],
)
def test_the_name_of_a_file_is_taken_as_it_stands(query: str, name: str) -> None:
    assert file_name(query, "id.dcm") == name


@pytest.mark.parametrize(
    ("body", "patterns"),
    [
        ('["1.2.*","1.3"]', ["1.2.*", "1.3"]),
        ("[]", []),
        ('"1.2"', ["1.2"]),
        ("1.2.840.10008.1.2", ["1.2.840.10008.1.2"]),
        ("", [""]),
    ],
)
def test_transfer_syntaxes_are_put_as_json_or_text(body: str, patterns: list[str]) -> None:
    assert parse_patterns(body) == patterns


@pytest.mark.parametrize("body", ['{"a":1}', "[1]", "12"])
def test_other_json_is_no_transfer_syntax(body: str) -> None:
    with pytest.raises(InvalidDicom):
        parse_patterns(body)
