"""`/tools/metrics-prometheus` and `/tools/metrics`: the counters of all processes (`actors.wire.metrics`), and facts about the archive.

The text is Prometheus' exposition format 0.0.4. Metrics of Orthanc's have the form that it gives them: name, value, time. Ours
have their kind and meaning before them. Counting goes on if `MetricsEnabled` is off: it costs less than a check.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import falcon

from actors.wire import metrics
from actors.wire.board import Metric, Sample, list_metrics
from api.rest import runtime
from api.rest.deps import Deps, Routes
from api.rest.jobs import all_jobs
from api.rest.serving.front import Application, Headers, StartResponse
from store.environment import free_bytes
from store.log import read_end
from store.projections.job_rows import JobState
from store.views.callbacks import count_waiting
from store.views.damaged import count_damaged
from store.views.feed import get_last_seq
from store.views.snapshot import Snapshot

EXPOSITION = "text/plain; version=0.0.4"
_MIB = 1 << 20


class Prometheus:
    """`GET /tools/metrics-prometheus`: nothing at all where metrics are off."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        lines: list[str] = []
        if is_enabled(self._deps):
            at_ms = int(self._deps.now().timestamp() * 1000)
            states = Counter(job.progress.state for job in all_jobs(self._deps.views))
            with self._deps.views.snapshot() as s:
                lines = [*_of_archive(s, states, at_ms), *_own_of_archive(s, states, self._deps)]
            for metric in list_metrics():
                lines += _of_processes(metric, at_ms)
        resp.content_type = EXPOSITION
        resp.data = "".join(f"{line}\n" for line in lines).encode()


class MetricsEnabled(runtime.Switch):
    """`/tools/metrics`: "0" or "1"."""

    NAME = runtime.METRICS_ENABLED

    def configured(self) -> bool:
        return self._deps.settings.metrics_enabled


def is_enabled(deps: Deps) -> bool:
    return MetricsEnabled(deps).is_on()


class Measured:
    """Counts the requests of an application. Thread-safe."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            metrics.REQUESTS.add(1, status[0] + "xx")
            return start_response(status, headers, exc_info)

        metrics.ACTIVE_REQUESTS.add(1)
        started = time.perf_counter()
        try:
            return self._application(environ, start)
        finally:
            took_s = time.perf_counter() - started
            metrics.REQUEST_SECONDS.observe(took_s)
            metrics.LONGEST_REQUEST.observe(took_s)
            metrics.ACTIVE_REQUESTS.add(-1)


def _of_archive(s: Snapshot, states: Counter[JobState], at_ms: int) -> Iterator[str]:
    total = s.statistics()
    success, failed = states[JobState.Success], states[JobState.Failure]
    for name, value in {
        "count_instances": total.instances,
        "count_patients": total.patients,
        "count_series": total.series,
        "count_studies": total.studies,
        "disk_size_mb": (total.disk_bytes + total.attached_disk_bytes) / _MIB,
        "jobs_completed": success + failed,
        "jobs_failed": failed,
        "jobs_pending": states[JobState.Pending],
        "jobs_running": states[JobState.Running],
        "jobs_success": success,
        "last_change": get_last_seq(s),
        "uncompressed_size_mb": (total.size_bytes + total.attached_bytes) / _MIB,
    }.items():
        yield f"orthanc_{name} {_number(value)} {at_ms}"


def _own_of_archive(s: Snapshot, states: Counter[JobState], deps: Deps) -> Iterator[str]:
    end = read_end(s.txn, s.tables)[0]
    yield from _gauge("sinogram_callbacks_waiting", "Failed callbacks that are called again", {"": count_waiting(s)})
    yield from _gauge(
        "sinogram_cursor_lag_events",
        "Events that a consumer of the log has not dealt with",
        {name: end - seq for name, seq in s.cursors().items()},
        "cursor",
    )
    yield from _gauge(
        "sinogram_damaged_files", "Files that are damaged, of instances and other attachments", {"": count_damaged(s)}
    )
    yield from _described("sinogram_events_total", "counter", "Events in the log", [Sample("", (), end)])
    yield from _gauge("sinogram_free_bytes", "Space left on the disk of a folder", _free_bytes(deps), "folder")
    yield from _gauge("sinogram_index_bytes", "Size of the index's file", {"": deps.views.size_bytes()})
    yield from _gauge(
        "sinogram_jobs", "Jobs that are known, by state", {state.name: states[state] for state in JobState}, "state"
    )


def _free_bytes(deps: Deps) -> dict[str, float]:
    """The folder of a disk that is not there is left out."""
    found: dict[str, float] = {}
    for name, folder in {"index": deps.views.folder, "storage": deps.blobs.root.parent}.items():
        with suppress(OSError):
            found[name] = free_bytes(folder)
    return found


def _gauge(name: str, text: str, values: Mapping[str, float], label: str = "") -> Iterator[str]:
    """`values` are by the value of the label, or one without."""
    samples = [Sample("", ((label, of),) if label else (), value) for of, value in values.items()]
    return _described(name, "gauge", text, samples)


def _of_processes(metric: Metric, at_ms: int) -> Iterator[str]:
    if metric.name.startswith("orthanc_"):
        return iter([f"{metric.name} {_number(sample.value)} {at_ms}" for sample in metric.samples()])
    return _described(metric.name, metric.KIND, metric.text, metric.samples())


def _described(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for suffix, labels, value in samples:
        inside = ",".join(f'{label}="{_escape(given)}"' for label, given in labels)
        yield f"{name}{suffix}{'{' + inside + '}' if inside else ''} {_number(value)}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.9g}"


def routes(deps: Deps) -> Routes:
    return {"/tools/metrics": MetricsEnabled(deps), "/tools/metrics-prometheus": Prometheus(deps)}
