"""Labels beside Orthanc: status and body of each request, and what the renderings of resources show afterwards."""

from collections.abc import Iterator

import pytest

from tests.data_factory import dataset, encode
from tests.peer.changes import ChangeLog
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

LEVELS = ("patients", "studies", "series", "instances")
NOBODY = "-".join(["00000000"] * 5)
# Not here: a backslash and a plus sign, which Orthanc reads in every path as a slash and a space.
LABELS = (
    "A-b_9", "a%20b", "caf%C3%A9", "a.b", "a/b", "a%2Fb", "%20", "x" * 64, "x" * 65, "x" * 300, "a%0Ab", "a%00b", "~", "a:b",
    "%25", "Z", "a-", "a_", "a", "1", "q/", "%61b", "a?x=1", "-", "_", "'", "%22",
)  # fmt: skip


@pytest.fixture(scope="module")
def filled(fresh: Pair) -> Pair:
    stored = [Request("/instances", "POST", encode(dataset(1, 1, 1, number))) for number in (1, 2)]
    assert_same(fresh.differences(stored))
    fresh.wait_until_stable()
    return fresh


@pytest.mark.parametrize("level", LEVELS)
def test_a_label_comes_and_goes_as_with_orthanc(filled: Pair, level: str) -> None:
    path = f"/{level}/{filled.ids(level)[0]}"
    one, other = f"{path}/labels/b", f"{path}/labels/a"
    requests = [
        Request(f"{path}/labels"), Request(one), Request(one, "DELETE"), Request(one, "PUT", ""), Request(one, "PUT", "body"),
        Request(one), Request(other, "PUT", ""), Request(f"{path}/labels"), Request(f"{path}/labels/"), Request(path),
        Request(f"{path}/labels", headers={"Accept": "application/xml"}), Request(f"/{level}?expand"),
        Request(f"/{level}?expand&response-content=Labels"), Request("/tools/labels"),
        Request("/tools/labels", headers={"Accept": "application/xml"}), Request(other, "DELETE"), Request(other, "DELETE"),
        Request(f"{path}/labels"), Request(one, "POST", ""), Request(f"{path}/labels", "PUT", ""),
        Request(f"{path}/labels", "DELETE"), Request("/tools/labels", "PUT", ""), Request(one, "DELETE"), Request("/tools/labels"),
    ]  # fmt: skip
    assert_same(filled.differences(requests))


def test_the_same_labels_are_allowed(filled: Pair) -> None:
    path = f"/studies/{filled.ids('studies')[0]}"
    requests = []
    for label in LABELS:
        requests += [Request(f"{path}/labels/{label}", method, "") for method in ("PUT", "DELETE", "PUT")]
        requests.append(Request(f"{path}/labels/{label}"))
    requests += [Request(f"{path}/labels"), Request("/tools/labels"), Request(path)]
    assert_same(filled.differences(requests))


def test_what_is_not_there_has_the_same_answers(filled: Pair) -> None:
    patient = filled.ids("patients")[0]
    requests = [
        Request(f"/studies/{identifier}/labels{rest}", method, None if method == "GET" else "")
        for identifier in (NOBODY, "nope", patient)
        for rest in ("", "/a", "/a.b")
        for method in ("GET", "PUT", "DELETE")
    ]
    assert_same(filled.differences(requests))


def test_labels_go_with_their_resource_and_changes_say_nothing(filled: Pair) -> None:
    patient, first = f"/patients/{filled.ids('patients')[0]}", f"/instances/{filled.ids('instances')[0]}"
    before = [ChangeLog.of(server).rows() for server in (filled.ours, filled.theirs)]
    labelled = [
        Request(f"{first}/labels/only", "PUT", ""),
        Request(f"{first}/labels/both", "PUT", ""),
        Request(f"{patient}/labels/both", "PUT", ""),
        Request("/tools/labels"),
    ]
    assert_same(filled.differences(labelled))
    assert [ChangeLog.of(server).rows() for server in (filled.ours, filled.theirs)] == before
    gone = [
        Request(first, "DELETE"),
        Request("/tools/labels"),
        Request(patient, "DELETE"),
        Request("/tools/labels"),
        Request("/instances", "POST", encode(dataset(1, 1, 1, 1))),
        Request(f"{patient}/labels"),
        Request(f"{first}/labels"),
    ]
    assert_same(filled.differences(gone))


@pytest.fixture(scope="module")
def read_only(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("read-only"), '"ReadOnly" : true,') as pair:
        yield pair


def test_with_read_only_labels_are_read_alone(read_only: Pair) -> None:
    requests = [
        Request(f"/{level}/{NOBODY}/labels{rest}", method, None if method == "GET" else "")
        for level in LEVELS
        for rest in ("", "/a", "/a.b")
        for method in ("GET", "PUT", "DELETE")
    ]
    assert_same(read_only.differences([*requests, Request("/tools/labels")]))
