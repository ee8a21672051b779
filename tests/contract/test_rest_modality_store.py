"""`/modalities/{name}/store` and `store-straight`: requests, their answers, what arrives. Answers as observed on Orthanc 1.12.7."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from store.dicom.part10 import find_dataset
from tests.contract.destination import EXPLICIT, Destination, destination
from tests.contract.operations_stage import working
from tests.contract.rest_stage import Answer, RestStage, error_of, ids, rest_stage, shown
from tests.contract.retrieve_stage import fill, study
from tests.data_factory import shipped_files
from tests.dicom_bytes import CT, MR, add_pixels, dataset, encode, uid
from tools.server.core import Core

UNKNOWN = "00000000-00000000-00000000-00000000-00000000"
SHIPPED = {sample.name: sample.data for sample in shipped_files()}


@pytest.fixture
def there() -> Iterator[Destination]:
    with destination() as made:
        yield made


@pytest.fixture
def stage(archive: Core, there: Destination) -> Iterator[RestStage]:
    fill(archive, *study(series=2, instances=3))
    with working(archive), rest_stage(archive, log_exported_resources=True) as made:
        put = made.ask("/modalities/there", "PUT", json.dumps(["THERE", "127.0.0.1", there.port]).encode())
        assert put.status == 200
        yield made


def post(stage: RestStage, body: object, name: str = "there") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return stage.ask(f"/modalities/{name}/store", "POST", data)


def content(*parents: str, instances: int, **more: Any) -> dict[str, Any]:
    made = {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": instances,
        "LocalAet": "SINOGRAM",
        "RemoteAet": "THERE",
        **more,
    }
    return made | ({"ParentResources": sorted(parents)} if parents else {})


@pytest.mark.parametrize(("level", "instances"), [("patients", 6), ("studies", 6), ("series", 3), ("instances", 1)])
def test_a_resource_of_any_level_is_sent(stage: RestStage, there: Destination, level: str, instances: int) -> None:
    first = ids(stage, level)[0]
    assert shown(post(stage, first.encode())) == content(first, instances=instances)
    assert shown(post(stage, [first])) == content(first, instances=instances)
    assert shown(post(stage, {"Resources": [first]})) == content(first, instances=instances)
    assert len(there.sent) == 3 * instances


def test_instances_go_by_series_in_the_order_of_their_numbers(stage: RestStage, there: Destination) -> None:
    post(stage, ids(stage, "studies")[0].encode())
    assert there.instances == [uid(1, 1, series, number) for series in (1, 2) for number in (1, 2, 3)]


def test_levels_may_be_mixed_and_resources_named_twice(stage: RestStage, there: Destination) -> None:
    series, instance = ids(stage, "series")[0], ids(stage, "instances")[0]
    assert shown(post(stage, [instance, series, instance])) == content(series, instance, instances=5)
    assert len(there.sent) == 5


def test_nothing_at_all_may_be_sent(stage: RestStage) -> None:
    assert shown(post(stage, [])) == content(instances=0)


def test_a_request_says_who_calls_whom_and_for_whom(stage: RestStage, there: Destination) -> None:
    instance = ids(stage, "instances")[0]
    options = {"LocalAet": "L1", "CalledAet": "C1", "MoveOriginatorAet": "MOVER", "MoveOriginatorID": 77, "Timeout": 9}
    expected = content(
        instance, instances=1, LocalAet="L1", RemoteAet="C1", MoveOriginatorAET="MOVER", MoveOriginatorID=77
    )
    assert shown(post(stage, {"Resources": [instance], **options})) == expected
    assert there.sent[0].originator == ("MOVER", 77)


def test_host_and_port_of_a_request_come_before_the_modality_s(stage: RestStage, there: Destination) -> None:
    instance = ids(stage, "instances")[0]
    with destination() as other:
        post(stage, {"Resources": [instance], "Host": "127.0.0.1", "Port": other.port})
    assert (len(other.sent), len(there.sent)) == (1, 0)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, (400, 15, 'Missing field in JSON: "Resources"')),
        (b"", (400, 15, "Must provide a JSON value")),
        (b"nope", (400, 15, "Must provide a JSON value")),
        ({"Resources": "x"}, (400, 15, 'JSON field "Resources" must contain an array')),
        ({"Resources": [1]}, (400, 15, "Resources to be exported must be specified as a JSON array of strings")),
        (["nope"], (400, 15, "This string is not a valid Orthanc identifier: nope")),
        (UNKNOWN.encode(), (404, 17, "")),
        ({"Resources": [UNKNOWN], "Permissive": True}, (404, 17, "")),
        ({"Resources": [], "LocalAet": 1}, (400, 5, "")),
        ({"Resources": [], "Port": "x"}, (400, 5, "")),
        ({"Resources": [], "StorageCommitment": "x"}, (400, 5, "")),
        ({"Resources": [], "MoveOriginatorID": "a"}, (400, 5, "")),
        ({"Resources": [], "MoveOriginatorID": 99999}, (400, 3, "")),
        ({"Resources": [], "Timeout": -1}, (400, 15, "Unsigned integer value expected in field: Timeout")),
        ({"Resources": [], "Permissive": 1}, (400, 15, "Boolean value expected in field: Permissive")),
    ],
)
def test_bad_requests(stage: RestStage, there: Destination, body: object, error: tuple[int, int, str]) -> None:
    assert error_of(post(stage, body)) == error
    assert not there.sent


def test_an_unknown_modality(stage: RestStage) -> None:
    expected = (404, 7, "No modality with symbolic name: nope")
    assert error_of(post(stage, ids(stage, "instances"), "nope")) == expected


def test_a_refused_instance_is_the_request_s_error(stage: RestStage, there: Destination) -> None:
    there.on_store = lambda _event, _number: 0xC000
    details = 'C-STORE SCU to AET "THERE" has failed with DIMSE status 0xC000'
    assert error_of(post(stage, ids(stage, "instances"))) == (500, 9, details)
    answer = shown(post(stage, {"Resources": ids(stage, "series"), "Permissive": True}))
    assert answer["FailedInstancesCount"] == 6


def test_what_is_sent_is_logged_as_exported(stage: RestStage) -> None:
    sent = [*ids(stage, "patients"), ids(stage, "series")[0]]
    post(stage, sent)
    assert [row["ID"] for row in shown(stage.ask("/exports"))["Exports"]] == sent


# --- straight ---


def straight(stage: RestStage, data: bytes) -> Answer:
    return stage.ask("/modalities/there/store-straight", "POST", data)


def test_a_file_is_sent_as_it_is_and_not_stored(stage: RestStage, there: Destination) -> None:
    file = encode(add_pixels(dataset(7), rows=100, columns=1000))
    before = ids(stage, "instances")
    assert shown(straight(stage, file)) == {"SOPClassUID": MR, "SOPInstanceUID": uid(7, 1, 1, 1)}
    assert there.sent[0].dataset == file[find_dataset(file) :]
    assert ids(stage, "instances") == before


def test_a_compressed_file_is_decompressed_on_the_way(stage: RestStage, there: Destination) -> None:
    assert straight(stage, SHIPPED["MR_small_RLE.dcm"]).status == 200
    assert there.sent[0].transfer_syntax == EXPLICIT


def test_what_is_no_file_is_not_sent(stage: RestStage) -> None:
    assert error_of(straight(stage, b"xx")) == (400, 15, "Cannot parse an invalid DICOM file (size: 2 bytes)")
    assert error_of(straight(stage, b"")) == (400, 15, "Cannot parse an invalid DICOM file (size: 0 bytes)")


def test_errors_of_the_destination(stage: RestStage, there: Destination) -> None:
    status, code, details = error_of(straight(stage, encode(dataset(SOPClassUID=CT))))
    assert (status, code) == (500, 9)
    assert details == (
        f"No valid presentation context was negotiated for SOP class UID [{CT}] "
        f"and transfer syntax [{EXPLICIT}] while sending to modality [THERE]"
    )
    there.on_store = lambda _event, _number: 0xA700
    details = 'C-STORE SCU to AET "THERE" has failed with DIMSE status 0xA700'
    assert error_of(straight(stage, encode(dataset()))) == (500, 9, details)
