"""`/tools/metrics-prometheus`: the names, the form and the numbers of Orthanc's; ours beyond it are commented on for Prometheus."""

from collections.abc import Iterator

import pytest

from tests import data_factory
from tests.exposition import Exposition, parse_exposition
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

PATH = "/tools/metrics-prometheus"
CACHES = ("orthanc_dicom_cache_", "orthanc_storage_cache_")  # there are none here
TIMED = ("orthanc_memory_trimming_duration_ms", "orthanc_storage_read_")  # when they come is Orthanc's affair
EQUAL = (
    *("orthanc_count_patients", "orthanc_count_studies", "orthanc_count_series", "orthanc_count_instances"),
    *("orthanc_disk_size_mb", "orthanc_uncompressed_size_mb", "orthanc_rest_api_active_requests"),
    *(f"orthanc_jobs_{state}" for state in ("completed", "failed", "pending", "running", "success")),
)


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("metrics")) as started:
        yield started


def look(server: Server) -> Exposition:
    return parse_exposition(server.get(PATH).body.decode())


def orthancs(shown: Exposition) -> dict[str, float]:
    return {
        name: value
        for name, value in shown.values.items()
        if name.startswith("orthanc_") and not name.startswith((*CACHES, *TIMED))
    }


def test_orthancs_metrics_have_its_names_and_its_numbers(pair: Pair) -> None:
    files = data_factory.made_files()[:6]
    for server in (pair.ours, pair.theirs):
        for sample in files:
            server.ask(Request("/instances", "POST", sample.data))
    for step in ("stored", "deleted"):
        if step == "deleted":
            assert_same(pair.differences([Request(f"/instances/{pair.ids('instances')[0]}", "DELETE")]))
        ours, theirs = look(pair.ours), look(pair.theirs)
        late = {"orthanc_storage_remove_duration_ms"} if step == "stored" else set()  # Orthanc has removed duplicates
        assert set(orthancs(ours)) - late == set(orthancs(theirs)) - late
        assert {name: ours.values[name] for name in EQUAL} == {
            name: pytest.approx(theirs.values[name], rel=1e-6) for name in EQUAL
        }
        assert ours.times_ms.keys() >= orthancs(ours).keys()
        assert theirs.times_ms.keys() == theirs.values.keys()


def test_what_is_no_metric_of_orthancs_has_our_name(pair: Pair) -> None:
    assert {name.partition("_")[0] for name in look(pair.ours).values} == {"orthanc", "sinogram"}


def test_metrics_are_turned_off_and_on_as_by_orthanc(pair: Pair) -> None:
    bodies = ("0", "1", "false", "on", "", '"1"', "2", "True", "0\n", " 0", "true ", "0")
    assert_same(
        pair.differences(
            [each for body in bodies for each in (Request("/tools/metrics", "PUT", body), Request("/tools/metrics"))]
        )
    )
    assert_same(pair.differences([Request(PATH)]))
    for path in (PATH, "/tools/metrics"):
        assert_same(pair.differences([Request(path, "POST", ""), Request(path, "DELETE")]))
    assert_same(pair.differences([Request("/tools/metrics", "PUT", "1")]))


def test_the_configuration_turns_them_off(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> None:
    with start_pair(oracle, tmp_path_factory.mktemp("off"), '"MetricsEnabled": false,') as off:
        assert_same(off.differences([Request("/tools/metrics"), Request(PATH)]))
