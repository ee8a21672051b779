"""A reconstruction goes on where it was after all processes were killed, and tells nothing twice that it had told."""

import io
import zipfile
from pathlib import Path
from typing import Any

from tests.fault.checks import check_log
from tests.fault.instances import Instance
from tests.fault.servers import ServerUnderTest, freeze, server_in, wait_for

INSTANCES = 600  # six parts
DEADLINE_S = 120.0
TAGS = ("SOPClassUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID")


def test_a_reconstruction_goes_on_after_everything_was_killed(tmp_path: Path) -> None:
    with server_in(tmp_path) as server:
        server.start()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(INSTANCES):
                archive.writestr(str(number), Instance(number, "P", number % 3, number % 9, 200).file())
        assert server.request("POST", "/instances", packed.getvalue()).status == 200
        for rounds in range(1, len(TAGS) + 1):
            tags = TAGS[:rounds]  # each time one more, so that there is something to do
            server.kill_all()
            server.options["ExtraMainDicomTags"] = {"Instance": list(tags)}
            server.start()
            assert not any(_has(each, tags) for each in _instances(server))
            if _is_killed_on_its_way(server, rounds):
                break
        else:
            raise AssertionError("each reconstruction was over before it could be killed")
        job = _job(server)
        wait_for(lambda: _job(server)["State"] in {"Success", "Failure"}, "the job to end", DEADLINE_S)
        assert _job(server)["State"] == "Success", job
        assert all(_has(each, tags) for each in _instances(server))
        assert _count(server, "instance-reconstructed/1") == rounds * INSTANCES
        check_log(server)
        assert server.stop() == 0


def _is_killed_on_its_way(server: ServerUnderTest, rounds: int) -> bool:
    """Begin a reconstruction, and kill all when it has done something; tells whether it had more to do then."""
    assert server.request("POST", "/tools/reconstruct", b'{"Asynchronous": true}').status == 200
    wait_for(lambda: len(server.get("/jobs")) == rounds and _job(server)["Progress"] > 0, "a first step", DEADLINE_S)
    freeze(server.named()["worker-1"])
    is_on_its_way = bool(_job(server)["State"] == "Running")
    server.kill_all()
    server.start()
    return is_on_its_way


def _job(server: ServerUnderTest) -> dict[str, Any]:
    """Return the newest job."""
    found: dict[str, Any] = server.get("/jobs?expand&order=-created")[0]
    return found


def _instances(server: ServerUnderTest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/instances?expand")
    return found


def _has(instance: dict[str, Any], tags: tuple[str, ...]) -> bool:
    return all(tag in instance["MainDicomTags"] for tag in tags)


def _count(server: ServerUnderTest, tag: str) -> int:
    """Return how many events of a type the log has."""
    count, since, is_done = 0, 0, False
    while not is_done:
        page = server.get(f"/events?since={since}")
        count += sum(event["Tag"] == tag for event in page["Events"])
        since, is_done = page["Last"], page["Done"]
    return count
