"""Protection, recycling, refusal and overwriting beside Orthanc: who is there after each store, what is answered, what `/changes` and scripts are told."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dicom_bytes import dataset, encode
from tests.peer.changes import ChangeLog
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.lua_stage import LATER_S, LuaPair, start_lua_pair
from tests.peer.servers import Oracle, wait_for
from tests.peer.test_dicom_store import store

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

NOBODY = "-".join(["00000000"] * 5)
KEEPER = 99  # the patient of the stage's own instances, who is protected and counts
MB = 1 << 20
DELETED, STORED = "@ OnDeleted", "@ OnStoredInstance"
# A patient who goes with its only instance, and one of whom a study and a second instance stay.
ALONE, WITH_MORE = 21, 22


def file(
    patient: int, study: int = 1, series: int = 1, instance: int = 1, *, size_bytes: int = 0, **values: object
) -> bytes:
    """A DICOM file, of about that size."""
    made = dataset(patient, study, series, instance, **values)
    if size_bytes:
        made.EncapsulatedDocument = bytes(size_bytes - 700)
    return encode(made)


def upload(data: bytes) -> Request:
    return Request("/instances", "POST", data)


# -- recycling, protection and overwriting ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recycling(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    options = (
        '"MaximumPatientCount": 4, "MaximumStorageSize": 1, "OverwriteInstances": true, "UserMetadata": {"note": 1024},'
    )
    with start_lua_pair(oracle, tmp_path_factory.mktemp("recycling"), more=options, sentinels=10) as stage:
        protect(stage, KEEPER)
        stage.settle()
        yield stage


def patients(server: Server) -> dict[str, str]:
    """PatientID -> identifier."""
    found: Any = server.get_json("/patients?expand")
    return {each["MainDicomTags"]["PatientID"]: each["ID"] for each in found}


def protect(stage: LuaPair, number: int, value: str = "1") -> None:
    identifier = patients(stage.pair.theirs)[dataset(number).PatientID]
    assert_same(stage.pair.differences([Request(f"/patients/{identifier}/protected", "PUT", value)]))


def archive(pair: Pair) -> list[Request]:
    """What is asked of both after each step."""
    levels = ("patients", "studies", "series", "instances")
    protected = [Request(f"/patients/{identifier}/protected") for identifier in patients(pair.theirs).values()]
    return [*(Request(f"/{level}") for level in levels), Request("/statistics"), *protected]


def do(pair: Pair, *requests: Request) -> None:
    for request in requests:
        assert_same(pair.differences([request]))
        assert_same(pair.differences(archive(pair)))


def there(stage: LuaPair) -> set[int]:
    names = {str(dataset(number).PatientID): number for number in range(100)}
    return {names[name] for name in patients(stage.pair.theirs)} - {KEEPER}


def test_who_goes_and_who_stays(recycling: LuaPair) -> None:
    pair = recycling.pair
    do(pair, *(upload(file(number)) for number in (1, 2, 3, 4)))
    assert there(recycling) == {2, 3, 4}
    do(pair, upload(file(2, 1, 1, 2)), upload(file(3)), upload(file(5)))
    assert there(recycling) == {2, 3, 5}, "who is overwritten is the newest, too"
    protect(recycling, 2)
    do(pair, upload(file(2, 2)), upload(file(6)), upload(file(7)))
    assert there(recycling) == {2, 6, 7}
    protect(recycling, 2, "0")
    protect(recycling, 6, "0")  # who was not protected keeps the place
    do(pair, upload(file(8)), upload(file(9)))
    assert there(recycling) == {2, 8, 9}
    for number in (2, 8, 9):
        protect(recycling, number)
    do(pair, upload(file(10)), upload(file(8, 1, 1, 2)), upload(file(2, 3, 1, 1)))
    assert there(recycling) == {2, 8, 9}
    for number in (2, 8, 9):
        protect(recycling, number, "0")


def test_the_size_is_never_passed(recycling: LuaPair) -> None:
    do(
        recycling.pair,
        upload(file(11, size_bytes=400_000)),
        upload(file(12, size_bytes=400_000)),
        upload(file(11, 1, 1, 2, size_bytes=400_000)),
        upload(file(11, 1, 1, 3, size_bytes=400_000)),
        upload(file(13, size_bytes=MB + 1)),
        upload(file(13, size_bytes=300_000)),
    )
    assert there(recycling) == {13}
    path = f"/patients/{patients(recycling.pair.theirs)[dataset(13).PatientID]}/attachments"
    for number, size_bytes in ((1024, 200_000), (1025, 600_000), (1026, MB + 1), (1025, 300_000)):
        do(recycling.pair, Request(f"{path}/{number}", "PUT", bytes(size_bytes)))


def test_scripts_are_told_of_what_was_recycled(recycling: LuaPair) -> None:
    do(recycling.pair, upload(file(14)), upload(file(14, 1, 1, 2)), upload(file(14, 2)), upload(file(15)))
    do(recycling.pair, *(upload(file(number)) for number in (16, 17, 18, 19)))
    recycling.settle()
    for beginning in (DELETED, STORED):
        assert told(recycling, beginning)


def told(stage: LuaPair, beginning: str) -> list[str]:
    """What scripts were told of, by both alike; what begins otherwise is told by Orthanc before it or after it."""

    def both() -> list[list[str]]:
        return [[line for line in stage.said(server) if line.startswith(beginning)] for server in stage.servers]

    with contextlib.suppress(TimeoutError):  # the comparison says more
        wait_for(lambda: len({len(lines) for lines in both()}) == 1, "both to have told as much", LATER_S)
    ours, theirs = both()
    assert ours == theirs
    return theirs


def test_changes_are_those_of_orthanc(recycling: LuaPair) -> None:
    """Whatever the tests before have done."""
    assert_same_changes(recycling)


def assert_same_changes(stage: LuaPair) -> None:
    """In one server something may have become stable between two stores, and in the other not, or in another order."""
    stage.pair.wait_until_stable()
    ours, theirs = (ChangeLog.of(server).rows() for server in stage.servers)
    assert {row for row in ours if row[0].startswith("Stable")} == {
        row for row in theirs if row[0].startswith("Stable")
    }
    ours, theirs = ([row for row in rows if not row[0].startswith("Stable")] for rows in (ours, theirs))
    assert ours == theirs


@pytest.mark.parametrize("patient", [ALONE, WITH_MORE])
def test_what_is_overwritten_is_deleted_and_stored(recycling: LuaPair, patient: int) -> None:
    pair = recycling.pair
    do(pair, upload(file(patient, StudyDescription="before")))
    if patient == WITH_MORE:
        do(pair, upload(file(patient, 1, 1, 2)))
    protect(recycling, patient)
    pair.wait_until_stable()
    names = chain(pair, patient)
    for level, identifier in names.items():
        do(
            pair,
            Request(f"/{level}/{identifier}/metadata/note", "PUT", "hello"),
            Request(f"/{level}/{identifier}/labels/a", "PUT", ""),
            Request(f"/{level}/{identifier}/attachments/1030", "PUT", "attached"),
        )
    recycling.settle()
    recycling.forget()
    do(pair, upload(file(patient, StudyDescription="after", InstanceNumber="7")))
    assert_same_changes(recycling)
    shown = [
        Request(f"/{level}/{identifier}{route}")
        for level, identifier in names.items()
        for route in ("", "/metadata", "/labels", "/attachments", "/statistics")
    ]
    assert_same(pair.differences([*shown, Request(f"/instances/{names['instances']}/simplified-tags")]))
    recycling.settle()
    assert told(recycling, DELETED)
    assert told(recycling, STORED)
    protect(recycling, patient, "0")


def chain(pair: Pair, patient: int) -> dict[str, str]:
    """The identifiers of a patient's first study, series and instance."""
    path = f"/patients/{patients(pair.theirs)[dataset(patient).PatientID]}"
    found = {"patients": path.rpartition("/")[2]}
    for level in ("studies", "series", "instances"):
        listed: Any = pair.theirs.get_json(f"{path}/{level}?expand=false")
        found[level] = min(listed)
    return found


# -- the route --------------------------------------------------------------------------------------------------------


def test_protection_is_asked_for_and_refused_alike(recycling: LuaPair) -> None:
    pair = recycling.pair
    do(pair, upload(file(31)))
    names = chain(pair, 31)
    path = f"/patients/{names['patients']}/protected"
    bodies = (
        "1",
        "0",
        "true",
        "false",
        "",
        "2",
        "on",
        " 1",
        "1\n",
        "\t0\r\n",
        "01",
        "True",
        "-1",
        "0.0",
        "1x",
        b"\xff",
        "1\0",
    )
    requests = [each for body in bodies for each in (Request(path, "PUT", body), Request(path))]
    requests += [Request(path, method, "") for method in ("POST", "DELETE")]
    requests += [Request(f"{path}/"), Request(f"{path}/a"), Request(f"{path}?x=1")]
    for identifier in (NOBODY, "nope", names["studies"], names["instances"]):
        requests += [
            Request(f"/patients/{identifier}/protected", method, body)
            for method, body in (("GET", None), ("PUT", "1"), ("PUT", "0"), ("PUT", "x"))
        ]
    requests += [Request(f"/{level}/{identifier}/protected") for level, identifier in names.items()]
    assert_same(pair.differences(requests))


# -- refusal ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rejecting(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    limits = '"MaximumStorageMode": "Reject", "MaximumPatientCount": 2, "MaximumStorageSize": 1,'
    options = limits + '"StoreDicom": false, "MaximumStorageCacheSize": 0,'  # else Orthanc answers from its cache
    with start_pair(oracle, tmp_path_factory.mktemp("rejecting"), options) as pair:
        yield pair


def test_without_files_the_index_answers(rejecting: Pair) -> None:
    """What it knows; what needs a file is an unknown resource."""
    do(rejecting, upload(file(5, InstanceNumber="5")), upload(file(5, 1, 1, 7)))
    rejecting.wait_until_stable()
    (instance, series, study, patient) = [
        f"/{level}/{rejecting.ids(level)[0]}" for level in ("instances", "series", "studies", "patients")
    ]
    routes = (
        "",
        "/file",
        "/tags",
        "/simplified-tags",
        "/header",
        "/content",
        "/content/0010-0010",
        "/metadata",
        "/statistics",
    )
    attachments = ("/size", "/md5", "/is-compressed")
    requests = [Request(f"{instance}{route}") for route in routes]
    requests += [Request(f"{instance}/attachments/dicom{route}") for route in attachments]
    requests += [Request(f"{instance}/attachments"), Request(f"{instance}/attachments/dicom/info")]
    for path in (series, study, patient):
        below = ("", "/shared-tags", "/instances-tags", "/module", "/statistics", "?requested-tags=Rows")
        requests += [Request(f"{path}{route}") for route in below]
    requests += [Request(f"{instance}/attachments/dicom/verify-md5", "POST", "")]
    requests += [Request(f"{instance}/attachments/1024", "PUT", "x"), Request(f"{instance}/attachments/1024/data")]
    requests += [
        Request("/statistics"),
        Request(instance, "DELETE"),
        Request("/statistics"),
        Request(patient, "DELETE"),
    ]
    assert_same(rejecting.differences(requests))


@pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK's storescu is not installed (Debian: dcmtk)")
def test_what_does_not_fit_in_is_refused(rejecting: Pair) -> None:
    do(rejecting, upload(file(1)), upload(file(2)), upload(file(3)), upload(file(1, 1, 1, 2)), upload(file(1)))
    do(rejecting, upload(file(1, 2, size_bytes=MB - 10_000)), upload(file(2, 2, size_bytes=20_000)), Request("/system"))
    statuses = [store(rejecting, data, "-xe") for data in (file(3), file(2, 3, size_bytes=20_000), file(2, 3))]
    assert [ours for ours, _ in statuses] == [theirs for _, theirs in statuses]
    assert [ours == 0 for ours, _ in statuses] == [False, False, True]
    assert_same(rejecting.differences([Request(f"/{level}") for level in ("patients", "studies", "instances")]))
