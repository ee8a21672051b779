"""What clients want to get is read as RFC 9110 and PS3.18 say."""

from collections.abc import Sequence

import falcon
import pytest
from falcon.testing import create_environ

from api.dicomweb.accept import Wanted, parse_accept


def accepted(header: str | None, query: str = "") -> Sequence[Wanted]:
    headers = {} if header is None else {"Accept": header}
    return parse_accept(falcon.Request(create_environ(query_string=query, headers=headers)))


def test_nothing_said_takes_everything() -> None:
    (wanted,) = accepted(None)
    assert (wanted.type, wanted.is_multipart, wanted.transfer_syntax) == ("*/*", False, None)


def test_parts_of_a_multipart_have_the_type_that_is_wanted() -> None:
    text = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90, application/dicom+json; q=0.5'
    first, second = accepted(text)
    assert (first.type, first.is_multipart, first.transfer_syntax) == (
        "application/dicom",
        True,
        "1.2.840.10008.1.2.4.90",
    )
    assert (second.type, second.is_multipart, second.weight) == ("application/dicom+json", False, 0.5)


def test_a_comma_between_quotation_marks_separates_nothing() -> None:
    (wanted,) = accepted('multipart/related; type="image/jpeg"; note="a, b"')
    assert wanted.parameters["note"] == "a, b"


def test_the_best_comes_first_and_a_weight_of_zero_refuses() -> None:
    assert [each.type for each in accepted("a/a;q=0.2, b/b, c/c;q=0, d/d;q=0.9, e/e;q=no")] == [
        "b/b",
        "e/e",
        "d/d",
        "a/a",
    ]


def test_the_query_replaces_the_header() -> None:
    (wanted,) = accepted("image/png", "accept=application%2Fdicom%2Bxml")
    assert wanted.type == "application/dicom+xml"


@pytest.mark.parametrize(
    ("wanted", "kind", "is_taken"),
    [("*/*", "image/png", True), ("image/*", "image/png", True), ("image/png", "image/png", True), ("image/*", "imagex/png", False), ("text/*", "image/png", False)],
)  # fmt: skip
def test_ranges(wanted: str, kind: str, is_taken: bool) -> None:
    assert Wanted(wanted).takes(kind) is is_taken
