"""A study that is being anonymised goes on after a kill, with the same identifiers and without a second instance of any."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.fault.instances import Instance, orthanc_id
from tests.fault.servers import TWO_OF_EACH, ServerUnderTest, server_in, wait_for

INSTANCES = 200
DEADLINE_S = 120.0
STUDY = Instance(1, "JOBS", 7, 7, 200)


@pytest.mark.nightly
def test_an_anonymisation_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    with server_in(tmp_path, **TWO_OF_EACH) as server:
        server.start()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(1, INSTANCES + 1):
                archive.writestr(str(number), Instance(number, "JOBS", 7, 7, 200).file())
        assert server.request("POST", "/instances", packed.getvalue()).status == 200
        sources = set(server.get("/instances"))
        study = orthanc_id(STUDY.patient, STUDY.study_uid)
        answer = server.request("POST", f"/studies/{study}/anonymize", b'{"Asynchronous": true, "KeepSource": false}')
        assert answer.status == 200, answer
        wait_for(
            lambda: len(server.get("/instances")) > INSTANCES + 20, "the first instances to be changed", DEADLINE_S
        )
        server.kill_all()
        server.start()
        job = wait_for(lambda: _ended(server, answer.json["ID"]), "the job to end", DEADLINE_S)
        assert (job["State"], job["Content"]["InstancesCount"]) == ("Success", INSTANCES), job
        made = server.get("/instances?expand")
        assert len(made) == INSTANCES
        assert {each["AnonymizedFrom"] for each in made} == sources
        assert [each["ID"] for each in server.get("/studies?expand")] == [job["Content"]["ID"]]
        assert server.stop() == 0


def _ended(server: ServerUnderTest, job: str) -> dict[str, Any] | None:
    shown: dict[str, Any] = server.get(f"/jobs/{job}")
    return shown if shown["State"] in {"Success", "Failure"} else None
