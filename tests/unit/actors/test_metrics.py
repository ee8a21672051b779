"""The table of metrics: what is counted under a label is known beforehand, or counting would be an error of its own."""

import pytest

from actors.services.lua.runtime import Interpreter
from actors.services.remote.modality import Operation
from actors.services.scripts.errors import ScriptFailed
from actors.services.scripts.settings import LUA_FILTER, LUA_MAIN
from actors.wire import metrics
from actors.wire.board import Metric, list_metrics
from tools.server.process import CORE, GATEWAY, WORKER


def shown(metric: Metric) -> dict[str, float]:
    return {"".join(value for _, value in sample.labels) + sample.suffix: sample.value for sample in metric.samples()}


def test_whatever_a_peer_asks_for_has_its_counter() -> None:
    assert set(shown(metrics.DICOM_REQUESTS)) == {operation.value for operation in Operation}


def test_every_process_has_its_counter_of_starts() -> None:
    assert set(shown(metrics.PROCESS_STARTS)) == {CORE, GATEWAY, WORKER, LUA_FILTER, LUA_MAIN}


def test_names_tell_whose_they_are_and_counters_end_as_prometheus_wants() -> None:
    for metric in list_metrics():
        assert metric.name.startswith(("orthanc_", "sinogram_"))
        assert metric.text
        is_total = metric.name.endswith("_total")
        assert metric.name.startswith("orthanc_") or is_total == (metric.KIND == "counter"), metric.name


def test_calls_of_scripts_are_counted_by_how_they_ended() -> None:
    before, timed = shown(metrics.SCRIPT_CALLS), shown(metrics.SCRIPT_SECONDS)["_count"]
    interpreter = Interpreter()
    interpreter.load(b"function good() end function bad() error('no') end", "f.lua")
    interpreter.call("good")
    with pytest.raises(ScriptFailed):
        interpreter.call("bad")
    after = shown(metrics.SCRIPT_CALLS)
    assert {result: after[result] - before[result] for result in after} == {"done": 2, "failed": 1}
    assert shown(metrics.SCRIPT_SECONDS)["_count"] == timed + 3
