"""Keys of a query against values (PS3.4 §C.2.2.2)."""

import pytest

from store.dicom.matching import BadKey, Dataset, Value, parse_key, parse_text_key


@pytest.mark.parametrize(
    ("vr", "key", "matching", "others"),
    [
        ("LO", "A", ["A"], ["a", "AB", "", " A", None]),
        ("LO", "A  ", ["A"], ["B"]),
        ("LO", " A", [" A"], ["A"]),
        ("LO", "A\\B", ["A", "B"], ["A\\B", "C", None]),
        ("LO", "A?\\B", ["A?", "B"], ["AX"]),
        ("LO", "*", ["", "A", "A\\B"], [None]),
        ("LO", "A*", ["A", "AB", "A\nB"], ["a", "BA"]),
        ("LO", "*B", ["B", "AB"], ["BA"]),
        ("LO", "A*B*C", ["ABC", "AxByC", "ABBC"], ["AB", "AC", "ABCD"]),
        ("LO", "A*AB", ["AAB", "AxAB"], ["AB"]),
        ("LO", "?", ["A", "é"], ["", "AB"]),
        ("LO", "A?C*", ["ABC", "ABCD"], ["AC"]),
        ("LO", "P.T%_[1]", ["P.T%_[1]"], ["PAT%_[1]"]),
        ("LO", "4-9", ["4-9"], ["5"]),
        ("PN", "doe^jane", ["Doe^Jane", "DOE^JANE"], ["Doe^Jane^1"]),
        ("PN", "buc^j?r*", ["Buc^Jérôme", "BUC^JÉRÔME"], ["Buc^Jrme"]),
        ("PN", "stra?e*", ["Straße^A"], ["Strasse^A"]),
        ("PN", "a\\B", ["A", "b"], ["c"]),
        ("DA", "20240101", ["20240101"], ["20240102"]),
        ("DA", "20240101-20240102", ["20240101", "20240102"], ["20240103", "20231231", "", None]),
        ("DA", "20240101-", ["20240101", "20991231"], ["20231231", ""]),
        ("DA", "-20240101", ["20240101", "19000101", ""], ["20240102", None]),
        ("DA", "20240101\\20240103", ["20240101", "20240103"], ["20240102"]),
        ("TM", "10-11", ["101112.131415", "10"], ["11:00", "09"]),
        ("DT", "20240101-20240102", ["20240101120000"], ["20240103"]),
        ("DT", "20240101-0500", ["20240101-0500"], ["20240101", "20240102"]),
        ("DT", "20240101-0500-20240102-0500", ["20240101120000-0500"], ["20240103-0500"]),
        ("UI", "1.2\\1.3\\", ["1.2", "1.3"], ["1.2.3", ""]),
        ("IS", "4", ["4"], ["04", "+4"]),
    ],
)
def test_a_key_matches(vr: str, key: str, matching: list[str | None], others: list[str | None]) -> None:
    matcher = parse_key(vr, key)
    assert matcher is not None
    assert [value for value in matching if not matcher.matches(value)] == []
    assert [value for value in others if matcher.matches(value)] == []


@pytest.mark.parametrize(
    ("vr", "key"), [("LO", ""), ("LO", "  "), ("LO", None), ("DA", "-"), ("SQ", ()), ("SQ", ({},))]
)
def test_universal_matching_needs_no_matcher(vr: str, key: Value) -> None:
    assert parse_key(vr, key) is None


@pytest.mark.parametrize("vr", ["AS", "DA", "DS", "DT", "IS", "TM", "UI"])
def test_a_wildcard_where_there_is_none_is_refused(vr: str) -> None:
    with pytest.raises(BadKey):
        parse_key(vr, "1*")


def test_case_counts_in_names_if_the_configuration_says_so() -> None:
    matcher = parse_key("PN", "doe*", case_sensitive_pn=True)
    assert matcher is not None
    assert matcher.matches("doe^jane")
    assert not matcher.matches("Doe^Jane")


def test_a_sequence_matches_by_one_item_that_has_all_keys() -> None:
    matcher = parse_key("SQ", ({0x00080100: "T-D*", 0x00080102: "SRT", 0x00080104: ""},))
    assert matcher is not None
    head: Dataset = {0x00080100: "T-D1100", 0x00080102: "SRT", 0x00080104: "Head"}
    assert matcher.matches(({}, head))
    assert not matcher.matches(({0x00080100: "T-D1100"}, {0x00080102: "SRT"}))
    assert not matcher.matches("T-D1100")
    assert not matcher.matches(None)


def test_a_sequence_in_a_sequence_is_a_key_too() -> None:
    matcher = parse_key("SQ", ({0x00401001: "1", 0x00400100: ({0x00080060: "M?"},)},))
    assert matcher is not None
    assert matcher.matches(({0x00401001: "1", 0x00400100: ({0x00080060: "MR"},)},))
    assert not matcher.matches(({0x00401001: "1", 0x00400100: ({0x00080060: "CT"},)},))


def test_no_pattern_takes_for_ever() -> None:
    matcher = parse_key("LO", "*a" * 200 + "b")
    assert matcher is not None
    assert not matcher.matches("a" * 20_000)


@pytest.mark.parametrize(
    ("vr", "key", "matching", "others"),
    [
        ("LO", "general", ["General", "GENERAL"], ["General Hospital", " general", None]),
        ("LO", "general ", ["General "], ["General"]),
        ("CS", "ct", ["CT"], ["MR"]),
        ("LO", "A\\", ["a", ""], ["B", None]),
        ("CS", "ORIGINAL\\X", ["ORIGINAL\\PRIMARY", "x"], ["PRIMARY"]),
        ("SH", "2*", ["2", "20"], ["12"]),
        ("DA", "20240101-", ["20240102"], ["20231231", ""]),
    ],
)
def test_a_key_of_rest_matches(vr: str, key: str, matching: list[str | None], others: list[str | None]) -> None:
    """Case counts for no VR, blanks for all; in values that files tell, one part may be in a list."""
    matcher = parse_text_key(vr, key, folds=True, in_parts=True)
    assert matcher is not None
    assert [value for value in [*matching, *others] if matcher.matches(value)] == matching


@pytest.mark.parametrize("vr", ["DA", "UI", "IS", "SQ", "OW", "UN", "US"])
def test_rest_takes_wildcards_in_text_alone(vr: str) -> None:
    with pytest.raises(BadKey):
        parse_text_key(vr, "1*", folds=True, in_parts=False)
    assert parse_text_key(vr, "", folds=True, in_parts=False) is None
