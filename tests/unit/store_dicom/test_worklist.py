"""Queries of the worklist: moments, steps, issuers, and what is told. Times as PS3.4 §K.6.1.2.2 has them."""

from typing import Any

import pytest

from events.errors import InvalidRequest
from store.dicom.dictionary import dictionary_vr
from store.dicom.matching import BadKey, Dataset, Value
from store.dicom.worklist import describe, matches, parse_worklist_query

PATIENT, NAME, STEPS = 0x00100020, 0x00100010, 0x00400100
MODALITY, AET, DATE, TIME, STATION = 0x00080060, 0x00400001, 0x00400002, 0x00400003, 0x00400010


def step(**values: str) -> Dataset:
    tags = {"modality": MODALITY, "aet": AET, "date": DATE, "time": TIME, "station": STATION}
    return {tags[name]: value for name, value in values.items()}


def entry(*steps: Dataset, patient: str = "P1") -> Dataset:
    return {PATIENT: patient, NAME: "Doe^John", STEPS: steps}


def is_found(asked: dict[int, Any], found: Dataset, **options: Any) -> bool:
    given = {"case_sensitive_pn": False, **options}
    return matches(parse_worklist_query(asked, dictionary_vr, **given), found)


@pytest.mark.parametrize(
    ("dates", "times", "expected"),
    [
        ("20240105-20240107", "1000-1800", {"05 10", "05 20", "06 01", "07 09", "07 18"}),
        ("20240105-20240107", "180000-100000", {"05 20", "06 01", "07 09"}),
        ("20240105-", "1000-", {"05 10", "05 20", "06 01", "07 09", "07 18", "08 00"}),
        ("-20240105", "-1000", {"05 09", "05 10"}),
        ("20240105-20240105", "-", {"05 09", "05 10", "05 20"}),
        ("20240105-20240107", "-0900", {"05 09", "05 10", "05 20", "06 01", "07 09"}),
        ("20240105-20240107", "1000-", {"05 10", "05 20", "06 01", "07 09", "07 18"}),
        # One date is no range: each of its days has these hours.
        ("20240105", "1000-1800", {"05 10"}),
        ("20240105-20240107", "090000", {"05 09", "07 09"}),
    ],
)
def test_a_range_of_dates_and_one_of_times_are_a_range_of_moments(dates: str, times: str, expected: set[str]) -> None:
    moments = ("05 09", "05 10", "05 20", "06 01", "07 09", "07 18", "08 00")
    found = set()
    for moment in moments:
        day, hour = moment.split()
        if is_found({STEPS: (step(date=dates, time=times),)}, entry(step(date=f"202401{day}", time=f"{hour}0000"))):
            found.add(moment)
    assert found == expected


@pytest.mark.parametrize(
    ("time", "is_within"),
    [("095959.999999", False), ("10", True), ("1000", True), ("18:00:00", True), ("180000.1", False)],
)
def test_times_of_any_precision(time: str, is_within: bool) -> None:
    asked = {STEPS: (step(date="20240105-20240105", time="1000-180000"),)}
    assert is_found(asked, entry(step(date="20240105", time=time))) is is_within


def test_a_step_without_a_date_lies_before_all() -> None:
    without = entry(step(date="", time=""))
    assert is_found({STEPS: (step(date="-20240105", time="-1000"),)}, without)
    assert not is_found({STEPS: (step(date="20240105-", time="1000-"),)}, without)
    assert not is_found({STEPS: (step(date="-20240105", time="-1000"),)}, entry(step(modality="CT")))


def test_one_step_must_match_all_keys() -> None:
    two = entry(
        step(modality="CT", aet="A", date="20240105", time="10"),
        step(modality="MR", aet="B", date="20240109", time="10"),
    )
    assert is_found({STEPS: (step(modality="MR", aet="B"),)}, two)
    assert not is_found({STEPS: (step(modality="MR", aet="A"),)}, two)
    assert is_found({STEPS: (step(modality="MR", date="20240108-20240110", time="0900-1100"),)}, two)
    assert not is_found({STEPS: (step(modality="CT", date="20240108-20240110", time="0900-1100"),)}, two)


def test_an_issuer_is_shown_its_own_steps_whatever_it_asks_for() -> None:
    own, other = entry(step(aet="CT01")), entry(step(aet="MR01"))
    queries: list[Dataset] = [{PATIENT: ""}, {STEPS: (step(aet="MR01"),)}, {STEPS: ()}, {STEPS: (step(aet="*"),)}]
    for asked in queries:
        assert is_found(asked, own, issuer="CT01")
        assert not is_found(asked, other, issuer="CT01")


def test_what_is_no_query() -> None:
    with pytest.raises(InvalidRequest, match="several items"):
        parse_worklist_query({STEPS: (step(), step())}, dictionary_vr, case_sensitive_pn=False)
    with pytest.raises(BadKey):
        parse_worklist_query({STEPS: (step(date="2024*"),)}, dictionary_vr, case_sensitive_pn=False)


def test_names_follow_the_option() -> None:
    assert is_found({NAME: "doe*"}, entry())
    assert not is_found({NAME: "doe*"}, entry(), case_sensitive_pn=True)


def test_an_answer_tells_what_is_asked_and_there() -> None:
    found = entry(step(modality="CT", aet="A", station="S"), step(modality="MR", aet="B"))
    asked: Dataset = {PATIENT: "P*", 0x00100040: "", STEPS: ({MODALITY: "", STATION: ""},)}
    assert describe(asked, found, {}) == {PATIENT: "P1", STEPS: ({MODALITY: "CT", STATION: "S"}, {MODALITY: "MR"})}
    without_keys: list[Value] = [(), ({},)]
    for nothing in without_keys:
        assert describe({STEPS: nothing}, found, {}) == {STEPS: found[STEPS]}


@pytest.mark.parametrize(
    "within",
    [step(modality="MR"), step(modality="", date="20240118-20240118", time="09-11"), step(modality="M*", aet="B")],
)
def test_only_the_steps_that_match_are_told(within: Dataset) -> None:
    second = step(modality="MR", aet="B", date="20240118", time="10", station="T")
    found = entry(step(modality="CT", aet="A", date="20240115", time="10", station="S"), second)
    item: Dataset = {**within, MODALITY: within.get(MODALITY, ""), STATION: ""}
    keys = parse_worklist_query({STEPS: (item,)}, dictionary_vr, case_sensitive_pn=False)
    assert describe({STEPS: (item,)}, found, keys) == {STEPS: ({tag: second[tag] for tag in item},)}


def test_who_is_an_issuer_is_told_of_its_own_steps() -> None:
    found = entry(step(modality="CT", aet="A"), step(modality="MR", aet="B"))
    asked: Dataset = {STEPS: ({MODALITY: ""},)}
    keys = parse_worklist_query(asked, dictionary_vr, case_sensitive_pn=False, issuer="B")
    assert describe(asked, found, keys) == {STEPS: ({MODALITY: "MR"},)}
