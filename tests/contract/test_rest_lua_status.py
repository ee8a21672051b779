"""`GET /lua/status`: how scripts fare, told without asking an interpreter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fault.instances import Instance
from tests.fault.senders import RestSender
from tests.fault.servers import ServerUnderTest, server_in, wait_for

SCRIPT = """
    function ReceivedInstanceFilter() return true end
    function OnStoredInstance(id, tags)
        while tags.PatientID == 'ENDLESS' do end
        error('no ' .. tags.PatientID)
    end
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path_factory.mktemp("server"), LuaScripts=["script.lua"]) as made:
        made.folder.mkdir(parents=True, exist_ok=True)
        (made.folder / "script.lua").write_text(SCRIPT)
        made.start()
        yield made


def status(server: ServerUnderTest) -> Any:
    return server.get("/lua/status")


def store(server: ServerUnderTest, number: int, patient: str) -> None:
    with RestSender(server) as sender:
        assert sender.store(Instance(number, patient, 1, 1, 200)) == (200, "Success")


def test_without_scripts_there_is_nothing_to_tell(tmp_path: Path) -> None:
    with server_in(tmp_path) as bare:
        bare.start("--single-process")
        told = status(bare)
    assert told["Scripts"] == told["LastFailures"] == []
    assert told["Interpreters"] == {}
    assert told["Events"]["Cursor"] is told["Events"]["Lag"] is None


def test_it_tells_callbacks_position_and_failures(server: ServerUnderTest) -> None:
    store(server, 1, "LUCK")
    wait_for(lambda: status(server)["Events"]["Failed"] == 1, "the failure")
    told = wait_for(lambda: (s := status(server))["Events"]["Lag"] == 0 and s, "the cursor")
    assert told["Scripts"] == [str(server.folder / "script.lua")]
    callbacks = ["ReceivedInstanceFilter", "OnStoredInstance"]
    assert {name: each["Callbacks"] for name, each in told["Interpreters"].items()} == {
        "Filter": callbacks,
        "Main": callbacks,
    }
    assert told["Interpreters"]["Main"]["MemoryBytes"] > 10_000
    assert told["Events"]["Waiting"] == 1
    assert told["Events"]["Recovered"] == told["Events"]["Skipped"] == 0
    (failure,) = told["LastFailures"]
    stored = next(e["Seq"] for e in server.get("/events")["Events"] if e["Tag"].startswith("instance-stored"))
    assert failure["Callback"] == "OnStoredInstance"
    assert failure["Event"] == stored
    assert failure["Attempt"] == 1
    assert failure["RetrySeconds"] == 5
    assert failure["Message"].endswith("script.lua:5: no LUCK")
    assert (failure["Script"].endswith("script.lua"), failure["Line"]) == (True, 5)
    instance = Instance(1, "LUCK", 1, 1, 200).id
    assert failure["EventTag"] == "instance-stored/2"
    assert failure["Resource"] == {
        "ID": instance,
        "Level": "Instance",
        "Path": f"/instances/{instance}",
        "State": "Current",
    }
    counted = told["Interpreters"]["Main"]["Calls"]
    assert list(counted) == ["OnStoredInstance"]
    times = counted["OnStoredInstance"]
    assert times["Count"] == times["Failed"] == 1
    assert 0 < times["LongestSeconds"] == times["Seconds"] < 60
    assert told["Interpreters"]["Filter"]["Calls"]["ReceivedInstanceFilter"]["Failed"] == 0


def test_it_answers_while_a_callback_does_not_end(server: ServerUnderTest) -> None:
    """Last of this file: the callback goes on."""
    store(server, 2, "ENDLESS")

    def running() -> Any:
        return status(server)["Interpreters"]["Main"]["Running"]

    told = wait_for(running, "the callback")
    assert told["Callback"] == "OnStoredInstance"
    assert told["Seconds"] >= 0
    assert status(server)["Events"]["Lag"] > 0
