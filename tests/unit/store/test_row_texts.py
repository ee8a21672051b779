"""A text is found in a row that was not decoded, whatever size it has and whatever else looks like its tag."""

import pytest

from store.dicom.matching import Matcher, Wildcard, parse_text_key
from store.projections import rows
from store.views.find_index import Sieve

TAG, OTHER = 0x00200010, 0x00080020
LIKE_IT = rows.tag_marker(TAG)


def row_of(tags: dict[int, str], identifier: bytes = bytes(20)) -> bytes:
    return rows.pack([identifier, 7, tags, {}])


def passes(row: bytes, matcher: Matcher) -> bool:
    sieve = Sieve(TAG, matcher)
    return bool(sieve.may_pass(row)) and sieve.passes(row)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65535, 65536])
def test_texts_of_every_size_are_found(size: int) -> None:
    text = "a" * size
    row = row_of({OTHER: "x", TAG: text})
    assert rows.has_text(row, LIKE_IT, text.encode().__eq__)
    assert not rows.has_text(row, LIKE_IT, text.encode().__ne__)


@pytest.mark.parametrize(
    "identifier",
    [
        LIKE_IT + bytes(15),
        LIKE_IT + b"\xa3abc" + bytes(11),
        LIKE_IT + b"\xd9\xff" + bytes(13),
        LIKE_IT * 4,
        bytes(15) + LIKE_IT,
    ],
)
def test_what_only_looks_like_the_tag_hides_nothing(identifier: bytes) -> None:
    assert passes(row_of({TAG: "wanted"}, identifier), Wildcard("want*"))
    assert not passes(row_of({OTHER: "wanted"}, identifier), Wildcard("want*"))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("DOE*", "doe^j"),
        ("doe*", "DOE"),
        ("É*", "éa"),
        ("ärger", "ÄRGER"),
        ("SX*", "ſx"),
        ("a\\b", "B"),
        ("a\\", ""),
        ("a.c*", "A.Cd"),
    ],
)
def test_no_match_is_held_back(key: str, text: str) -> None:
    matcher = parse_text_key("LO", key, folds=True, in_parts=False)
    assert matcher is not None
    assert matcher.matches(text)
    assert passes(row_of({TAG: text}), matcher)


def test_a_row_without_the_tag_does_not_pass() -> None:
    assert not passes(row_of({OTHER: "a"}), Wildcard("*"))
