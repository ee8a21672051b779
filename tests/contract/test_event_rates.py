"""`/events/rates`: the events of each step of time, counted as a plain model counts them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from api.app import create_app
from store.views.event_times import count_over_time
from tests.contract.rest_stage import RestStage, error_of, rest_stage, shown
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def moments(stage: RestStage) -> list[int]:
    return [event["AtMicroseconds"] for event in shown(stage.ask("/events?limit=1000"))["Events"]]


@pytest.mark.parametrize("uploads", [0, 1, 5])
def test_counts_are_those_of_a_plain_model(stage: RestStage, archive: Core, uploads: int) -> None:
    for number in range(1, uploads + 1):
        stage.upload(encode(dataset(number)))
    times = moments(stage)
    edges = {bound + by for bound in times for by in (-1, 0, 1)} | {0, 1 << 60}
    bounds = sorted(edges)
    with archive.views.snapshot() as s:
        found = count_over_time(s, bounds)
    assert found == [sum(first <= time < behind for time in times) for first, behind in pairwise(bounds)]
    assert sum(found) == len(times)


def test_the_last_step_ends_now(stage: RestStage) -> None:
    stage.upload(encode(dataset(1)))
    last_us = moments(stage)[-1]
    later = datetime.fromtimestamp(last_us / 1e6 + 90, UTC)
    at_that_time = RestStage(create_app(replace(stage.deps, now=lambda: later)), stage.deps)
    told = shown(at_that_time.ask("/events/rates?seconds=240&steps=4"))
    assert told["StepMicroseconds"] == 60_000_000
    assert told["SinceMicroseconds"] == pytest.approx(last_us - 150_000_000, abs=2)
    assert told["Counts"] == [0, 0, len(moments(stage)), 0]


@pytest.mark.parametrize("query", ["steps=0", "steps=501", "seconds=5&steps=6", "seconds=99999999999"])
def test_what_cannot_be_counted_is_refused(stage: RestStage, query: str) -> None:
    status, code, details = error_of(stage.ask(f"/events/rates?{query}"))
    assert (status, code) == (400, 3)
    assert details.startswith("steps must be 1 to 500")


def test_an_hour_in_minutes_is_told_unless_another_is_asked_for(stage: RestStage) -> None:
    told = shown(stage.ask("/events/rates"))
    assert (len(told["Counts"]), told["StepMicroseconds"]) == (60, 60_000_000)
