"""The datasets of storage commitment, as PS3.4 Tables J.3-1 and J.3-2 have them."""

import pytest

from events.errors import InvalidRequest
from store.dicom.commitment import (
    CommitmentReport,
    Failure,
    Reference,
    read_report,
    read_request,
    report_dataset,
    request_dataset,
)
from store.dicom.matching import Dataset, Value

TRANSACTION, SUCCEEDED, FAILED = 0x00081195, 0x00081199, 0x00081198
CLASS, INSTANCE, REASON = 0x00081150, 0x00081155, 0x00081197
ONE, TWO = Reference("1.2", "1.2.1"), Reference("1.2", "1.2.2")


def item(*values: str) -> Dataset:
    return dict(zip((CLASS, INSTANCE, REASON), values, strict=False))


def test_a_request_names_its_instances_in_their_order_with_repeats() -> None:
    dataset = request_dataset("1.9", [TWO, ONE, TWO])
    assert dataset == {TRANSACTION: "1.9", SUCCEEDED: (item(*TWO), item(*ONE), item(*TWO))}
    assert read_request(dataset) == ("1.9", [TWO, ONE, TWO])


def test_nothing_may_be_asked_for() -> None:
    assert read_request({TRANSACTION: "1.9", SUCCEEDED: ()}) == ("1.9", [])


@pytest.mark.parametrize(
    "lists",
    [([ONE], []), ([], [Failure(*TWO, 0x0112)]), ([ONE], [Failure(*TWO, 0x0119)]), ([], [])],
)
def test_a_report_has_the_lists_that_it_needs(lists: tuple[list[Reference], list[Failure]]) -> None:
    report = CommitmentReport("1.9", *lists)
    dataset = report_dataset(report)
    assert (SUCCEEDED in dataset, FAILED in dataset) == (bool(lists[0]) or not lists[1], bool(lists[1]))
    assert read_report(dataset, has_failures=bool(lists[1])) == report


def test_failures_count_in_a_report_that_says_it_has_none() -> None:
    dataset: Dataset = {TRANSACTION: "1.9", SUCCEEDED: (item(*ONE),), FAILED: (item(*TWO, "272"),)}
    assert read_report(dataset, has_failures=False).failed == [Failure(*TWO, 272)]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({TRANSACTION: None}, "Transaction UID"),
        ({TRANSACTION: ""}, "Transaction UID"),
        ({TRANSACTION: "1" * 65}, "Transaction UID"),
        ({SUCCEEDED: None}, r"0008,1199"),
        ({SUCCEEDED: "1.2"}, r"0008,1199"),
        ({SUCCEEDED: ({},)}, "Referenced SOP Class UID"),
        ({SUCCEEDED: (item("1.2"),)}, "Referenced SOP Instance UID"),
        ({SUCCEEDED: (item("", "1.2.1"),)}, "Referenced SOP Class UID"),
    ],
)
def test_what_is_no_request(changed: dict[int, Value], complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        read_request(request_dataset("1.9", [ONE]) | changed)


@pytest.mark.parametrize("reason", [(), ("",), ("x",), ("-1",), ("65536",)])
def test_a_failure_has_a_reason(reason: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="Failure Reason"):
        read_report({TRANSACTION: "1.9", FAILED: (item(*ONE, *reason),)}, has_failures=True)


@pytest.mark.parametrize(("dataset", "has_failures"), [({}, False), ({FAILED: ()}, False), ({SUCCEEDED: ()}, True)])
def test_a_report_lacks_a_list(dataset: dict[int, Value], has_failures: bool) -> None:
    with pytest.raises(InvalidRequest, match="sequence"):
        read_report({TRANSACTION: "1.9", **dataset}, has_failures=has_failures)
