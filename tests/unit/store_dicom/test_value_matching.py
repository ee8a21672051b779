"""What a value of QIDO-RS finds: the rules of PS3.4 §C.2.2.2, and lists as Orthanc's plugin takes them."""

import pytest

from store.dicom.dictionary import dictionary_vr, parse_tag
from store.dicom.matching import BadKey, Matcher, Value
from store.dicom.value_matching import MAX_PARTS, Rules, parse_web_key

FOLDING = Rules()


def key(name: str, text: str, rules: Rules = FOLDING) -> Matcher | None:
    tag = parse_tag(name)
    assert tag is not None
    return parse_web_key(tag, dictionary_vr(tag), text, rules)


def found(name: str, text: str, values: list[Value], rules: Rules = FOLDING) -> list[Value]:
    matcher = key(name, text, rules)
    return values if matcher is None else [value for value in values if matcher.matches(value)]


@pytest.mark.parametrize(
    ("name", "text"),
    [("PatientName", ""), ("PatientName", "*"), ("PatientName", "**"), ("StudyDate", "-"), ("PatientID", "  "), ("StudyInstanceUID", ","), ("PatientID", "\\")],
)  # fmt: skip
def test_universal_matching_is_no_key(name: str, text: str) -> None:
    assert key(name, text) is None


@pytest.mark.parametrize(
    ("name", "text", "values", "wanted"),
    [
        ("PatientID", "a1", ["A1", "a1", "A12", None, ""], ["A1", "a1"]),
        ("PatientID", "A1 ", ["A1"], ["A1"]),
        ("PatientID", "A?,B*", ["A1", "A12", "B", "Bcd", "C"], ["A1", "B", "Bcd"]),
        ("StudyDescription", "Head, Neck", ["Head, Neck", "Head", " Neck", "Neck"], ["Head, Neck", "Head", " Neck"]),
        ("StudyDescription", "Head*, Neck", ["Headache, Neck", "Heads", "x"], ["Headache, Neck", "Heads"]),
        ("StudyInstanceUID", "1.2,1.3", ["1.2", "1.3", "1.2,1.3"], ["1.2", "1.3"]),
        ("StudyInstanceUID", "1.2\\1.3", ["1.2", "1.3", "1.4"], ["1.2", "1.3"]),
        ("Modality", "CT,MR", ["CT", "MR", "PT"], ["CT", "MR"]),
        ("StudyDate", "20240101-20240131", ["20231231", "20240101", "20240131", "20240201", None], ["20240101", "20240131"]),
        ("StudyDate", "20240101-20240102,20250101", ["20240102", "20250101", "20240601"], ["20240102", "20250101"]),
        ("StudyTime", "10-11", ["0959", "1030", "1159"], ["1030"]),
        ("AcquisitionDateTime", "20240101-", ["20231231", "20240101120000"], ["20240101120000"]),
        ("ImageType", "ORIGINAL", ["ORIGINAL\\PRIMARY", "ORIGINAL", "DERIVED\\PRIMARY", None], ["ORIGINAL\\PRIMARY", "ORIGINAL"]),
        ("ImageType", "prim*", ["ORIGINAL\\PRIMARY", "X"], ["ORIGINAL\\PRIMARY"]),
        ("ImageComments", "a\\b", ["a\\b", "a", "b"], ["a\\b"]),  # LT: a backslash separates nothing
        ("Rows", "256,512", ["256", "512", "128"], ["256", "512"]),
        ("FrameIncrementPointer", "00181063", ["0018,1063", "0018,1065"], ["0018,1063"]),
    ],
)  # fmt: skip
def test_values_that_are_found(name: str, text: str, values: list[Value], wanted: list[Value]) -> None:
    assert found(name, text, values) == wanted


def test_case_counts_where_it_is_asked_for() -> None:
    values: list[Value] = ["Doe", "DOE", "doe"]
    assert found("PatientName", "Doe", values, Rules(folds=False)) == ["Doe"]
    assert found("PatientName", "D*", values, Rules(folds=False)) == ["Doe", "DOE"]
    assert found("PatientName", "d*", values) == values


def test_multiple_values_are_all_there() -> None:
    """PS3.4 §C.2.2.2.8, its note 1."""
    values: list[Value] = ["CT", "CT\\PT", "PT\\CT\\SR", "MR\\PT", None]
    assert found("ImageType", "CT\\PT", values, Rules(is_multiple=True)) == ["CT\\PT", "PT\\CT\\SR"]
    assert found("ImageType", "CT\\PT", values) == ["CT", "CT\\PT", "PT\\CT\\SR", "MR\\PT"]
    one = ["A", "B", "A\\B"]  # an attribute of one value: a list as ever
    assert found("PatientID", "A\\B", [*one], Rules(is_multiple=True)) == ["A", "B"]


def test_empty_values_are_found_where_that_is_asked_for() -> None:
    """PS3.4 §C.2.2.2.7."""
    values: list[Value] = ["", None, (), '""', "x"]
    assert found("PatientName", '""', values, Rules(finds_empty=True)) == ["", None, ()]
    assert found("PatientName", '""', values) == ['""']


def test_a_name_is_fuzzy_where_that_is_asked_for() -> None:
    values: list[Value] = ["Müller^Eva", "Doe^Jane"]
    assert found("PatientName", "Miller", values, Rules(is_fuzzy=True)) == ["Müller^Eva"]
    assert found("PatientName", "Miller", values) == []
    assert found("PatientID", "Miller", values, Rules(is_fuzzy=True)) == []


@pytest.mark.parametrize(
    ("name", "text"), [("StudyDate", "2024*"), ("StudyInstanceUID", "1.2.*"), ("Rows", "2?"), ("StudyInstanceUID", "*")]
)
def test_what_has_no_wildcards_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadKey, match="wildcard"):
        key(name, text)


def test_a_list_has_an_end() -> None:
    assert key("PatientID", "\\".join(["A"] * MAX_PARTS)) is not None
    with pytest.raises(BadKey, match="members"):
        key("PatientID", ",".join(["A"] * (MAX_PARTS + 1)))
