"""A study that is being anonymised goes on after a kill, with the same identifiers and without a second instance of any.

`SINOGRAM_JOB_KILLS` is how many studies are anonymised with a kill of everything in the middle (20 is what the promise names),
`SINOGRAM_KILL_SEED` repeats a run's random choices.
"""

import io
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.exposition import parse_exposition
from tests.fault.instances import Instance, orthanc_id
from tests.fault.servers import TWO_OF_EACH, ServerUnderTest, server_in, wait_for

INSTANCES = 200
ROUNDS = int(os.environ.get("SINOGRAM_JOB_KILLS", "1"))
DEADLINE_S = 120.0


@pytest.mark.nightly
def test_an_anonymisation_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("SINOGRAM_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SINOGRAM_KILL_SEED={seed}")
    chosen = random.Random(seed)
    with server_in(tmp_path, **TWO_OF_EACH, MetricsEnabled=True) as server:
        server.start()
        for number in range(ROUNDS):
            _anonymize_with_a_kill(server, number, chosen.randint(1, INSTANCES - 40))
        assert server.stop() == 0


def _anonymize_with_a_kill(server: ServerUnderTest, study: int, moment: int) -> None:
    """Kill everything when so many instances have been changed."""
    files = [Instance(study * INSTANCES + number, f"P{study}", study, study, 200) for number in range(1, INSTANCES + 1)]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for each in files:
            archive.writestr(str(each.number), each.file())
    assert server.request("POST", "/instances", packed.getvalue()).status == 200
    sources = {each.id for each in files}
    path = f"/studies/{orthanc_id(files[0].patient, files[0].study_uid)}/anonymize"
    answer = server.request("POST", path, b'{"Asynchronous": true, "KeepSource": false}')
    assert answer.status == 200, answer
    wait_for(lambda: len(server.get("/instances")) >= INSTANCES + moment, "the first to be changed", DEADLINE_S)
    before = set(server.get("/instances")) - sources
    server.kill_all()
    server.start()
    job = wait_for(lambda: _ended(server, answer.json["ID"]), "the job to end", DEADLINE_S)
    assert (job["State"], job["Content"]["InstancesCount"]) == ("Success", INSTANCES), job
    made = server.get("/instances?expand")
    assert before <= {each["ID"] for each in made}, "what was changed before the kill has become something else"
    assert len(made) == INSTANCES
    assert {each["AnonymizedFrom"] for each in made} == sources
    assert [each["ID"] for each in server.get("/studies?expand")] == [job["Content"]["ID"]]
    repeated = _count(server, "AlreadyStored")
    print(f"killed at {len(before)} of {INSTANCES}: then {_count(server, 'Success')} stored, {repeated} repeated")
    assert repeated <= 1
    assert server.request("DELETE", f"/studies/{job['Content']['ID']}").status == 200


def _count(server: ServerUnderTest, result: str) -> int:
    """How many files this run of the server has stored with that result."""
    shown = parse_exposition(server.request("GET", "/tools/metrics-prometheus").body.decode())
    return int(shown.values.get(f'sinogram_instances_received_total{{result="{result}"}}', 0))


def _ended(server: ServerUnderTest, job: str) -> dict[str, Any] | None:
    shown: dict[str, Any] = server.get(f"/jobs/{job}")
    return shown if shown["State"] in {"Success", "Failure"} else None
