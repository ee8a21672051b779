"""A job goes on where it was, whatever is killed: processes die at random moments while a study is being sent.

Each kill may repeat the one instance that was in flight, and nothing else. `SINOGRAM_JOB_KILLS` is how often something
is killed during each job (20 is what the promise names), `SINOGRAM_KILL_SEED` repeats a run's random choices.
"""

import io
import os
import random
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fault.instances import Instance, orthanc_id
from tests.fault.receiver import Receiver, receive
from tests.fault.servers import AET, CORE, SUPERVISOR, TWO_OF_EACH, ServerUnderTest, kill, server_in, wait_for

EVERYTHING = "everything"
TARGETS = (EVERYTHING, CORE, "worker-1", "worker-2", "gateway-1", SUPERVISOR)
KILLS = int(os.environ.get("SINOGRAM_JOB_KILLS", "1"))
INSTANCES = max(200, 50 * KILLS)
APART = 10  # instances between two kills at least, so that a checkpoint lies between them
DEADLINE_S = 120.0
SEND_AND_DELETE = """
    function OnStableStudy(id)
      for _, instance in ipairs(ParseJson(RestApiGet('/studies/' .. id .. '/instances?expand=false'))) do
        Delete(SendToModality(instance, 'sink'))
      end
    end
"""
STUDY = Instance(1, "JOBS", 7, 7, 200)


@pytest.mark.nightly
def test_a_store_job_goes_on_after_every_kill(tmp_path: Path) -> None:
    with receive() as sink, server_in(tmp_path, **_options(sink)) as server:
        _fill(server)
        study = orthanc_id(STUDY.patient, STUDY.study_uid)
        body = f'{{"Resources": ["{study}"], "Asynchronous": true}}'.encode()
        answer = server.request("POST", "/modalities/sink/store", body)
        assert answer.status == 200, answer
        _kill_while_it_runs(server, sink, answer.json["ID"])


def test_an_asynchronous_move_goes_on_after_every_kill(tmp_path: Path) -> None:
    with receive() as sink, server_in(tmp_path, SynchronousCMove=False, **_options(sink)) as server:
        _fill(server)
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY.study_uid}")
        command = ["movescu", "-S", "-aet", "MOVER", "-aec", AET, "-aem", "SINK", *keys]
        subprocess.run([*command, "127.0.0.1", str(server.dicom_port)], check=True, timeout=60)
        (job,) = server.get("/jobs")
        _kill_while_it_runs(server, sink, job)


def test_what_a_script_has_asked_for_goes_on_after_every_kill(tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text(SEND_AND_DELETE)
    with receive() as sink, server_in(tmp_path, LuaScripts=[str(script)], StableAge=1, **_options(sink)) as server:
        sink.allow(APART)
        _fill(server)
        (job,) = wait_for(lambda: server.get("/jobs"), "the job", DEADLINE_S)
        _kill_while_it_runs(server, sink, job, ends_with=lambda: server.get("/instances") == [])


def _options(sink: Receiver) -> dict[str, Any]:
    return {
        "DicomModalities": {"sink": ["SINK", "127.0.0.1", sink.port], "mover": ["MOVER", "127.0.0.1", 1]}
    } | TWO_OF_EACH


def _fill(server: ServerUnderTest) -> None:
    """Start the server and store the study."""
    server.start()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(1, INSTANCES + 1):
            archive.writestr(str(number), Instance(number, "JOBS", 7, 7, 200).file())
    assert server.request("POST", "/instances", packed.getvalue()).status == 200


def _kill_while_it_runs(
    server: ServerUnderTest, sink: Receiver, job: str, ends_with: Callable[[], bool] = lambda: True
) -> None:
    seed = int(os.environ.get("SINOGRAM_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SINOGRAM_KILL_SEED={seed}")
    chosen = random.Random(seed)
    order = (TARGETS * (KILLS // len(TARGETS) + 1))[:KILLS]
    span = INSTANCES // (KILLS + 1)
    moments = [number * span + chosen.randint(APART, span) for number in range(KILLS)]
    for number, (moment, target) in enumerate(zip(moments, chosen.sample(order, KILLS), strict=True)):
        sink.allow(moment)
        sink.wait_for(moment)
        if chosen.random() < 0.5:  # while the destination owes an answer; else between any two bytes
            sink.allow(moment + APART)
            threading.Event().wait(chosen.uniform(0, 0.02))
        print(f"after {len(sink.counts)}: {target}")
        _kill(server, target)
        _bring_back(server, target)
        assert sink.repeated <= number + 1, "more than what was in flight was sent again"
    sink.allow()
    state = wait_for(lambda: _ended(server, job), "the job to end", DEADLINE_S)
    assert state["State"] == "Success", state
    assert set(sink.counts) == set(range(1, INSTANCES + 1))
    assert sink.repeated <= KILLS
    assert ends_with()
    print(f"{sink.repeated} of {INSTANCES} instances were sent again after {KILLS} kills")
    assert server.stop() == 0


def _kill(server: ServerUnderTest, target: str) -> None:
    if target == EVERYTHING:
        server.kill_all()
    else:
        kill(server.named()[target])


def _bring_back(server: ServerUnderTest, target: str) -> None:
    if target in {EVERYTHING, CORE, SUPERVISOR}:
        server.wait()
        server.start()
    else:
        wait_for(lambda: target in server.named(), f"{target} to be started again")


def _ended(server: ServerUnderTest, job: str) -> dict[str, Any] | None:
    shown: dict[str, Any] = server.get(f"/jobs/{job}")
    return shown if shown["State"] in {"Success", "Failure"} else None
