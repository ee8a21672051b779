"""docs/metrics.md lists every metric there is, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.wire import metrics  # noqa: F401  # declares them
from actors.wire.board import list_metrics
from tests.contract.rest_stage import RestStage, rest_stage
from tests.exposition import parse_exposition
from tools.server.core import Core

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `([a-z_]+)` \|", re.MULTILINE)


@pytest.fixture
def rest(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as stage:
        yield stage


def test_every_metric_has_a_row_and_every_row_a_metric(rest: RestStage) -> None:
    shown = parse_exposition(rest.ask("/tools/metrics-prometheus").body.decode())
    counted = {metric.name for metric in list_metrics()}
    read = shown.kinds.keys() | {name.partition("{")[0] for name in shown.values if name.startswith("orthanc_")}
    rows = ROW.findall(PAGE.read_text())
    assert sorted(rows) == sorted(counted | read)
