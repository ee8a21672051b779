"""SendToModality(), CallSystem(), Delete(): the jobs that callbacks ask for, beside a real Orthanc with a real storescp."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.data_factory import add_pixels, dataset, encode
from tests.peer.exchange import Request, Server
from tests.peer.lua_destinations import NEEDS_STORESCP, modality, titles
from tests.peer.lua_stage import SCRIPTS, LuaPair, start_lua_pair, upload
from tests.peer.servers import Oracle, wait_for

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern"), NEEDS_STORESCP]
WAIT_S = 30.0


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    folder = tmp_path_factory.mktemp("chains")
    with start_lua_pair(oracle, folder, SCRIPTS / "chains.lua", more='"JobsHistorySize": 100,') as made:
        yield made


@pytest.fixture(scope="module")
def arrived(stage: LuaPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    with modality(stage, "sample", tmp_path_factory.mktemp("arrived")) as folders:
        yield folders


class Series(NamedTuple):
    uids: set[str]  # of the SOP instances
    ids: list[str]


def send(stage: LuaPair, patient: int, instances: int = 1) -> Series:
    """Upload a series to both."""
    made = [add_pixels(dataset(patient, 1, 1, number)) for number in range(1, instances + 1)]
    files = [encode(each) for each in made]
    stored = stage.both(lambda server: upload(server, *files))[0]
    return Series({str(each.SOPInstanceUID) for each in made}, [each["ID"] for each in stored])


def jobs(server: Server) -> list[dict[str, Any]]:
    """The sequences that are over."""
    shown = server.ask(Request("/jobs?expand")).json()
    assert isinstance(shown, list)
    return [job for job in shown if job["Type"] == "SequenceOfOperations" and job["State"] in {"Success", "Failure"}]


def left(server: Server, series: Series) -> int:
    """How many of the instances are still there."""
    return sum(server.ask(Request(f"/instances/{each}")).status == 200 for each in series.ids)


def after_jobs(stage: LuaPair, before: dict[str, int], number: int = 1) -> None:
    """Until both have done so many jobs more."""
    for server in stage.servers:
        wait_for(
            lambda server=server: len(jobs(server)) >= before[server.name] + number,  # type: ignore[misc] # mypy does not see the default
            f"the job of {server.name}",
            WAIT_S,
        )


def count(stage: LuaPair) -> dict[str, int]:
    return {server.name: len(jobs(server)) for server in stage.servers}


def test_an_instance_is_sent_shown_to_a_command_and_deleted(stage: LuaPair, arrived: dict[str, Path]) -> None:
    before = count(stage)
    series = send(stage, 301)
    after_jobs(stage, before)
    for server in stage.servers:
        assert series.uids <= set(titles(arrived[server.name]))
        assert left(server, series) == 0
    ours, theirs = (jobs(server)[-1] for server in stage.servers)
    assert ours["Content"] == theirs["Content"] == {"CountOperations": 3, "Description": "Lua"}
    assert ours.keys() - {"EstimatedTimeOfArrival"} == theirs.keys() - {"EstimatedTimeOfArrival"}


def test_a_command_that_fails_stops_nothing_but_the_job_is_a_failure_here(
    stage: LuaPair, arrived: dict[str, Path]
) -> None:
    before = count(stage)
    series = send(stage, 302)
    after_jobs(stage, before)
    for server in stage.servers:
        assert series.uids <= set(titles(arrived[server.name]))
        assert left(server, series) == 1
    states = [
        {job["State"] for job in jobs(server) if job["Content"]["CountOperations"] == 3} for server in stage.servers
    ]
    assert states == [{"Success", "Failure"}, {"Success"}]


def test_nothing_is_done_if_the_callback_fails(stage: LuaPair) -> None:
    series = send(stage, 304)
    stage.settle()
    assert [left(server, series) for server in stage.servers] == [1, 1]


def test_nothing_is_done_if_one_operation_is_impossible(stage: LuaPair) -> None:
    series = send(stage, 303)
    stage.settle()
    ours, theirs = stage.servers
    assert left(ours, series) == 1
    wait_for(lambda: left(theirs, series) == 0, "Orthanc to do what comes before", WAIT_S)


@pytest.mark.parametrize("patient", [311, 312, 313])
def test_resources_of_all_levels_are_sent_where_orthanc_sends_instances(
    stage: LuaPair, arrived: dict[str, Path], patient: int
) -> None:
    before = count(stage)
    series = send(stage, patient, instances=3)
    after_jobs(stage, before)
    ours, theirs = stage.servers
    assert series.uids <= set(titles(arrived[ours.name]))
    assert not series.uids & set(titles(arrived[theirs.name]))
    assert left(ours, series) == (0 if patient == 313 else 3)
