"""`/changes`: what is announced, in which order, page by page; and what deletion takes away."""

from collections import Counter
from typing import Any

import pytest

from tests.data_factory import dataset, encode
from tests.peer.changes import ChangeLog, page_differences
from tests.peer.comparison import assert_same, walk
from tests.peer.conftest import Pair
from tests.peer.exchange import Request

pytestmark = pytest.mark.peer

QUERIES = (
    "", "?limit=1", "?since=0&limit=3", "?since=@5&limit=1", "?since=@5", "?last", "?last&limit=3", "?last=false", "?limit=0", "?limit=-1",
    "?limit=abc", "?since=abc", "?since=@9999", "?to=@10&limit=3", "?to=@10&since=@4&limit=3", "?to=@10&since=@9&limit=3", "?to=abc",
    "?type=NewPatient&limit=2", "?type=NewPatient;NewStudy&limit=3", "?type=NewPatient;NewStudy", "?type=Nothing", "?type=newpatient",
    "?type=StableSeries&limit=0", "?type=NewPatient&last", "?to=@3", "?to=0", "?type=&limit=2", "?since=-1", "?limit=1&since=1.5",
    "?limit=100000", "?type=NewPatient&to=@20&limit=2", "?type=Deleted", "?type=12", "?type=NewInstance;CompletedSeries&since=@6&limit=4",
    "?since=@3&to=@3", "?since=@3&to=@2", "?to=@9999&limit=2", "?type=CompletedSeries", "?type=UpdatedAttachment;UpdatedMetadata",
    "?since=@2&limit=2&to=@100", "?type=NewPatient&since=@4&limit=1", "?type=NewPatient,NewStudy", "?limit=", "?since=&limit=2",
)  # fmt: skip


def store(pair: Pair, *files: bytes) -> None:
    assert_same(pair.differences([Request("/instances", "POST", data) for data in files]))


def logs(pair: Pair) -> tuple[ChangeLog, ChangeLog]:
    return ChangeLog.of(pair.ours), ChangeLog.of(pair.theirs)


def without_stable(log: ChangeLog) -> list[tuple[str, str, str, str]]:
    """When a resource becomes stable is a matter of milliseconds; everything else has one order."""
    return [row for row in log.rows() if not row[0].startswith("Stable")]


def test_a_new_archive_has_no_changes(fresh: Pair) -> None:
    ours, theirs = logs(fresh)
    assert ours.rows() == theirs.rows() == []
    assert_same(
        page_differences(ours, theirs, ("", "?last", "?since=5", "?to=5", "?limit=0", "?type=NewPatient", "?to=0&last"))
    )


def test_new_resources_are_announced_in_orthancs_order(fresh: Pair) -> None:
    places = [(1, 1, 1, 1), (1, 1, 1, 2), (1, 1, 2, 1), (1, 2, 1, 1), (2, 1, 1, 1), (1, 1, 1, 1), (2, 1, 1, 2)]
    store(fresh, *(encode(dataset(*place)) for place in places))
    store(fresh, *(encode(dataset(3, 1, 1, number, NumberOfSlices=2, ImageIndex=number)) for number in (1, 2, 3)))
    ours, theirs = logs(fresh)
    assert without_stable(ours) == without_stable(theirs)
    numbers = [change["Seq"] for change in ours.changes]
    assert numbers == sorted(set(numbers))


def test_each_resource_becomes_stable_once(fresh: Pair) -> None:
    fresh.wait_until_stable()
    ours, theirs = logs(fresh)
    counts = [Counter(row for row in log.rows() if row[0].startswith("Stable")) for log in (ours, theirs)]
    assert counts[0] == counts[1]
    assert set(counts[0].values()) == {1}


@pytest.mark.usefixtures("modern")
def test_pages_are_cut_where_orthanc_cuts_them(fresh: Pair) -> None:
    ours, theirs = logs(fresh)
    if ours.rows() != theirs.rows():  # two clocks, two orders of stable events: cut the pages before them
        keep = len(without_stable(theirs))
        assert ours.rows()[:keep] == theirs.rows()[:keep]
    assert_same(
        [each for each in page_differences(ours, theirs, QUERIES) if not _is_order_of_stable(each.ours, each.theirs)]
    )


def _is_order_of_stable(ours: object, theirs: object) -> bool:
    """Two stable events that stand in each other's place."""
    return all(
        isinstance(value, str) and value.startswith(("Stable", "Patient", "Study", "Series", "/"))
        for value in (ours, theirs)
    ) or all(isinstance(value, str) and len(value) == 44 for value in (ours, theirs))


def test_another_instance_makes_its_parents_unstable_again(fresh: Pair) -> None:
    before = len(ChangeLog.of(fresh.theirs).changes), len(ChangeLog.of(fresh.ours).changes)
    store(fresh, encode(dataset(2, 1, 1, 9)))
    fresh.wait_until_stable()
    ours, theirs = logs(fresh)
    assert Counter(ours.rows()[before[1] :]) == Counter(theirs.rows()[before[0] :])


def test_deleted_resources_leave_the_changes(fresh: Pair) -> None:
    answers = []
    lists: dict[str, Any] = {
        level: fresh.theirs.get_json(f"/{level}?expand") for level in ("instances", "series", "studies", "patients")
    }
    by_uid = {each["MainDicomTags"]["SOPInstanceUID"]: each["ID"] for each in lists["instances"]}
    order = [
        f"/instances/{by_uid['2.25.7305.1.1.1.2']}",  # a sibling remains
        f"/instances/{by_uid['2.25.7305.1.1.2.1']}",  # the last of its series
        f"/instances/{by_uid['2.25.7305.1.2.1.1']}",  # the last of its study
        *(
            f"/series/{each['ID']}"
            for each in lists["series"]
            if each["MainDicomTags"]["SeriesInstanceUID"] == "2.25.7305.3.1.1"
        ),
        *(f"/patients/{each['ID']}" for each in lists["patients"] if each["MainDicomTags"]["PatientID"] == "PAT2"),
    ]
    for path in order:
        answers += fresh.differences(
            [Request(path, "DELETE"), Request(path), Request(path, "DELETE"), Request("/statistics")]
        )
        ours, theirs = logs(fresh)
        assert Counter(ours.rows()) == Counter(theirs.rows()), path
    answers += fresh.differences([Request(f"/{level}?expand") for level in lists])
    assert_same(answers)


def test_an_instance_sent_again_after_deletion_is_new(fresh: Pair) -> None:
    again = encode(dataset(1, 1, 1, 2)), encode(dataset(2, 1, 1, 1))
    before = [len(log.changes) for log in logs(fresh)]
    store(fresh, *again)
    ours, theirs = logs(fresh)
    assert without_stable(ours)[-5:] == without_stable(theirs)[-5:]
    assert len(ours.changes) - before[0] == len(theirs.changes) - before[1]


def test_cleared_changes_are_gone_and_numbers_go_on(fresh: Pair) -> None:
    fresh.wait_until_stable()
    last = ChangeLog.of(fresh.ours).last()
    assert_same(fresh.differences([Request("/changes", "DELETE"), Request("/exports", "DELETE"), Request("/exports")]))
    ours, theirs = logs(fresh)
    assert ours.rows() == theirs.rows() == []
    page = [log.server.get_json("/changes") for log in (ours, theirs)]
    assert [path for path, _, _ in walk(page[0], page[1])] in ([], ["/Last"])
    store(fresh, encode(dataset(8, 1, 1, 1)))
    ours, theirs = logs(fresh)
    assert without_stable(ours) == without_stable(theirs)
    assert ours.changes[0]["Seq"] > last
