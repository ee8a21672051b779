"""The examples of docs/event-feed.md run as they stand there."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from tests.contract.http_serving import DEADLINE_S, serving
from tests.contract.rest_stage import RestStage, rest_stage, shown
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

PAGE = (Path(__file__).parents[2] / "docs" / "event-feed.md").read_text()
ADDRESS = "http://localhost:8042"
STREAM_S = "1"  # for which a stream is listened to


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        for number in range(1, 4):
            made.upload(encode(dataset(number, 1, 1, 1)))
        yield made


@pytest.fixture
def url(stage: RestStage) -> Iterator[str]:
    with serving(create_app(stage.deps), is_alone=False) as (host, port):
        yield f"http://{host}:{port}"
        stage.deps.feed.stop()


def run(line: str, url: str) -> str:
    command = line.replace(ADDRESS, url).replace(
        "curl ", f"curl -sS --max-time {STREAM_S if ' -N ' in line else '30'} "
    )
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == (28 if " -N " in line else 0), done  # 28: its time is over
    return done.stdout


def test_the_commands(url: str) -> None:
    lines = [line for example in examples("bash") for line in example.splitlines()]
    page, newest, head, studies, stream = [run(line, url) for line in lines]
    assert [event["Seq"] for event in json.loads(page)["Events"]] == [1, 2]
    assert [event["Tag"] for event in json.loads(newest)["Events"]] == ["study-created/1"]
    assert json.loads(head)["Head"] == 12
    assert [json.loads(line).get("Tag") for line in studies.splitlines()] == ["study-created/1"] * 3 + [None]
    assert stream == 'retry: 2000\nid: 12\nevent: head\ndata: {"Head":12}\n\n'


def test_the_programs(stage: RestStage, url: str) -> None:
    names: dict[str, Any] = {}
    for example in examples("python"):
        exec(example, names)
    told = list(itertools.islice(names["follow"](url, 4, "types=instance-stored"), 3))
    assert [(position, event and event["Tag"]) for position, event in told] == [
        (5, "instance-stored/2"),
        (9, "instance-stored/2"),
        (12, None),
    ]
    studies, position = names["list_new_studies"](url)
    assert (sorted(studies), position) == (sorted(shown(stage.ask("/studies"))), 12)
    stage.upload(encode(dataset(9, 1, 1, 1)))
    studies, position = names["list_new_studies"](url, position)
    assert (len(studies), position) == (1, 16)
    with pytest.raises(OSError, match="400"):
        next(names["follow"](url, 99))
