"""What was measured: single runs, their medians and ratios, as a table and as JSON."""

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.bench.senders import Outcome
from tools.bench.targets import Target

SHOWN_FAILURES = 3
UNBOUND_WIDTH = 136  # columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One scenario against one server in one round."""

    scenario: str
    target: str
    round: int
    count: int
    seconds: float
    rate: float  # per second
    p50_ms: float | None = None
    p99_ms: float | None = None
    rss_anon_mb: float | None = None  # after it
    processor_ms: float | None = None  # of the server's processes for one exchange, where that was measured
    failures: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


def run_of(scenario: str, target: str, round_number: int, outcome: Outcome, rss_anon_bytes: int | None = None) -> Run:
    """Make a run of what its senders report."""
    return Run(
        scenario=scenario,
        target=target,
        round=round_number,
        count=outcome.count,
        seconds=round(outcome.seconds, 4),
        rate=round(outcome.rate, 2),
        p50_ms=percentile_ms(outcome.latencies_s, 50),
        p99_ms=percentile_ms(outcome.latencies_s, 99),
        rss_anon_mb=None if rss_anon_bytes is None else round(rss_anon_bytes / 1e6, 1),
        failures=outcome.failures,
    )


def measured(scenario: str, target: Target, round_number: int, send: Callable[[], Outcome]) -> Run:
    """Send, and make a run of it, with the processor time of the server for one exchange."""
    before_s = target.processor_s()
    outcome = send()
    after_s = target.processor_s()
    run = run_of(scenario, target.name, round_number, outcome, target.rss_anon_bytes())
    if before_s is None or after_s is None:
        return run
    return replace(run, processor_ms=round((after_s - before_s) * 1000 / max(1, outcome.count), 3))


def percentile_ms(latencies_s: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile in milliseconds, None of nothing."""
    if not latencies_s:
        return None
    rank = max(1, ceil(percent / 100 * len(latencies_s)))
    return round(sorted(latencies_s)[rank - 1] * 1000, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The rounds of one scenario against one server."""

    scenario: str
    target: str
    rate: float  # median
    lowest_rate: float
    highest_rate: float
    p50_ms: float | None  # medians of the rounds
    p99_ms: float | None
    rss_anon_mb: float | None  # the highest
    processor_ms: float | None  # the median
    ratio: float | None  # of the first server's rate to this one's; None for the first
    failures: int


def summarize(runs: Sequence[Run]) -> list[Summary]:
    """Return one line a scenario and server, in the order in which they first ran."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.scenario, run.target), []).append(run)
    first = runs[0].target if runs else ""
    rates = {key: median(run.rate for run in group) for key, group in groups.items()}
    summaries = []
    for key, group in groups.items():
        scenario, target = key
        base = rates.get((scenario, first))
        summaries.append(
            Summary(
                scenario=scenario,
                target=target,
                rate=round(rates[key], 2),
                lowest_rate=min(run.rate for run in group),
                highest_rate=max(run.rate for run in group),
                p50_ms=_median_of(run.p50_ms for run in group),
                p99_ms=_median_of(run.p99_ms for run in group),
                rss_anon_mb=max((run.rss_anon_mb for run in group if run.rss_anon_mb is not None), default=None),
                processor_ms=_median_of(run.processor_ms for run in group),
                ratio=round(base / rates[key], 2) if target != first and base and rates[key] else None,
                failures=sum(len(run.failures) for run in group),
            )
        )
    order = list(dict.fromkeys(run.scenario for run in runs))
    targets = sorted({run.target for run in runs}, key=lambda name: (name != first, name))
    return sorted(summaries, key=lambda each: (order.index(each.scenario), targets.index(each.target)))


def _median_of(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def print_table(title: str, runs: Sequence[Run]) -> None:
    """Print medians and ratios; the ratio is how many times the first server's rate is of another's."""
    table = Table(title=title, title_justify="left")
    for heading in ("scenario", "server"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rate /s", "lowest–highest", "p50 ms", "p99 ms", "CPU ms", "RssAnon MB", "ratio", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    previous = ""
    for line in summarize(runs):
        if previous and line.scenario != previous:
            table.add_section()
        table.add_row(
            line.scenario if line.scenario != previous else "",
            line.target,
            f"{line.rate:.1f}",
            f"{line.lowest_rate:.1f}–{line.highest_rate:.1f}",
            _shown(line.p50_ms, 2),
            _shown(line.p99_ms, 2),
            _shown(line.processor_ms, 2),
            _shown(line.rss_anon_mb, 0),
            _shown(line.ratio, 2),
            str(line.failures) if line.failures else "",
        )
        previous = line.scenario
    # A file or pipe has no width of its own, and 80 columns would cut the figures.
    Console(width=None if sys.stdout.isatty() else UNBOUND_WIDTH).print(table)
    for run in runs:
        for failure in run.failures[:SHOWN_FAILURES]:
            print(f"failed: {run.scenario}, {run.target}, round {run.round}: {failure}")


def _shown(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def write_json(path: Path, kind: str, settings: dict[str, Any], runs: Sequence[Run]) -> None:
    """Write everything: the machine, the settings, single runs and summaries."""
    document = {
        "bench": kind,
        "machine": machine(),
        "settings": settings,
        "summary": [asdict(line) for line in summarize(runs)],
        "runs": [asdict(run) for run in runs],
    }
    path.write_text(json.dumps(document, indent=2, default=str) + "\n")


def machine() -> dict[str, Any]:
    """Say on what it was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return {
        "processor": next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000,
        "system": platform.platform(),
        "python": platform.python_version(),
    }
