"""`/tools/metrics-prometheus` and `/tools/metrics`: what is shown, by which rules, and that each number moves with its cause."""

from collections.abc import Iterator
from json import loads
from shutil import disk_usage

import pytest

from events.identifiers import Seq
from store.environment import FILE_NAME
from tests.contract.rest_stage import RestStage, rest_stage
from tests.data_factory import add_pixels, dataset, encode
from tests.exposition import Exposition, parse_exposition
from tools.server.core import Core

FILES = [encode(add_pixels(dataset(study=number))) for number in range(1, 4)]


@pytest.fixture
def rest(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as stage:
        yield stage


def look(rest: RestStage) -> Exposition:
    answer = rest.ask("/tools/metrics-prometheus")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
    return parse_exposition(answer.body.decode())


def growth(before: Exposition, after: Exposition) -> dict[str, float]:
    """What has changed; numbers are of the process, so those of other tests are in them."""
    return {name: value - before.values.get(name, 0) for name, value in after.values.items()}


def test_what_is_orthancs_has_a_time_and_what_is_ours_a_kind(rest: RestStage) -> None:
    rest.upload(FILES[0])
    shown = look(rest)
    assert all(name.startswith(("orthanc_", "sinogram_")) for name in shown.values)
    now_ms = rest.deps.now().timestamp() * 1000
    assert set(shown.times_ms) == {name for name in shown.values if name.startswith("orthanc_")}
    assert all(now_ms - 60_000 < at_ms <= now_ms for at_ms in shown.times_ms.values())
    ours = {name.partition("{")[0] for name in shown.values if name.startswith("sinogram_")}
    assert all(any(name.startswith(kind) for kind in shown.kinds) for name in ours)


def test_uploads_are_counted_by_what_became_of_them(rest: RestStage) -> None:
    before = look(rest)
    rest.upload(FILES[0])
    rest.upload(FILES[0])
    rest.upload(FILES[1])
    rest.upload(b"no DICOM at all")
    grown = growth(before, after := look(rest))
    received = {result: grown[f'sinogram_instances_received_total{{result="{result}"}}'] for result in
                ("Success", "AlreadyStored", "FilteredOut", "Refused")}  # fmt: skip
    assert received == {"Success": 2, "AlreadyStored": 1, "FilteredOut": 0, "Refused": 1}
    assert grown["sinogram_received_bytes_total"] == 2 * len(FILES[0]) + len(FILES[1]) + len(b"no DICOM at all")
    assert grown["orthanc_storage_written_bytes"] == len(FILES[0]) + len(FILES[1])
    assert grown["sinogram_store_seconds_count"] == 4
    assert grown["orthanc_count_instances"] == after.values["orthanc_count_studies"] == 2
    assert after.values["orthanc_disk_size_mb"] == pytest.approx((len(FILES[0]) + len(FILES[1])) / 2**20)
    assert after.values["orthanc_store_dicom_duration_ms"] > 0


def test_every_command_is_in_a_commit_and_every_event_in_the_log(rest: RestStage) -> None:
    before = look(rest)
    for data in FILES:
        rest.upload(data)
    grown = growth(before, look(rest))
    assert grown['sinogram_commands_total{result="done"}'] >= len(FILES)
    assert grown['sinogram_commits_total{result="done"}'] == grown["sinogram_commit_seconds_count"] >= 1
    assert grown['sinogram_commits_total{result="failed"}'] == 0
    assert grown["sinogram_events_total"] >= 3 * len(FILES)


def test_what_is_wrong_with_the_archive_is_a_number_to_be_alarmed_by(rest: RestStage, archive: Core) -> None:
    rest.upload(FILES[0])
    assert look(rest).values["sinogram_damaged_files"] == 0
    [path] = (
        path
        for path in (archive.settings.storage_directory / "blobs").rglob("*")
        if path.is_file() and path.stat().st_size == len(FILES[0])
    )
    path.unlink()
    [name] = loads(rest.ask("/instances").body)
    assert rest.ask(f"/instances/{name}/file").status == 500
    shown = look(rest).values
    assert shown["sinogram_damaged_files"] == 1
    free = disk_usage(archive.settings.storage_directory).free
    assert shown['sinogram_free_bytes{folder="storage"}'] == pytest.approx(free, rel=0.1)
    assert shown["sinogram_index_bytes"] == (archive.settings.index_directory / FILE_NAME).stat().st_size


def test_a_consumer_that_lags_is_told_by_how_much(rest: RestStage, archive: Core) -> None:
    archive.client.save_cursor("lua", Seq(0))
    rest.upload(FILES[0])
    shown = look(rest).values
    assert shown['sinogram_cursor_lag_events{cursor="lua"}'] == shown["sinogram_events_total"] == 4


def test_requests_are_counted_by_their_status(rest: RestStage) -> None:
    before = look(rest)
    rest.ask("/system")
    rest.ask("/nothing")
    rest.ask("/")
    rest.ask("/system", "HEAD")
    grown = growth(before, after := look(rest))
    assert grown['sinogram_http_requests_total{status="2xx"}'] == 2  # one of them showed `before`
    assert grown['sinogram_http_requests_total{status="3xx"}'] == 1
    assert grown['sinogram_http_requests_total{status="4xx"}'] == 2
    assert grown["sinogram_http_request_seconds_count"] == 5
    assert after.values["orthanc_rest_api_active_requests"] == 1, "the one that looks"


def test_metrics_that_are_off_show_nothing_and_count_on(rest: RestStage) -> None:
    before = look(rest)
    assert rest.ask("/tools/metrics", "PUT", b"0").status == 200
    answer = rest.ask("/tools/metrics-prometheus")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"", "text/plain; version=0.0.4")
    assert rest.ask("/tools/metrics").body == b"0"
    rest.upload(FILES[0])
    assert rest.ask("/tools/metrics", "PUT", b"true").status == 200
    assert rest.ask("/tools/metrics").body == b"1"
    assert growth(before, look(rest))['sinogram_instances_received_total{result="Success"}'] == 1


@pytest.mark.parametrize("body", [b"on", b"", b'"1"', b"2", b"\xff"])
def test_what_is_no_boolean_is_refused(rest: RestStage, body: bytes) -> None:
    assert rest.ask("/tools/metrics", "PUT", body).status == 400
    assert rest.ask("/tools/metrics").body == b"1"


def test_the_configuration_may_turn_them_off(archive: Core) -> None:
    with rest_stage(archive, metrics_enabled=False) as rest:
        assert rest.ask("/tools/metrics").body == b"0"
        assert rest.ask("/tools/metrics-prometheus").body == b""
