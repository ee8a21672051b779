"""A supervisor is killed and the server started again at once, under load: every start succeeds, and nothing that was acknowledged is lost.

Nobody waits for the last processes of the killed server: the start does. `SINOGRAM_RESTARTS` is how many rounds there are (50 is what the
promise names), `SINOGRAM_KILL_SEED` repeats a run's random choices. Every second round has scripts, and one interpreter is within a
command of the system when the supervisor dies.
"""

import io
import os
import random
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.checks import check_archive, check_bytes
from tests.fault.instances import Instance, Supply, orthanc_id
from tests.fault.receiver import Receiver, receive
from tests.fault.servers import CORE, TWO_OF_EACH, ServerUnderTest, freeze, is_running, kill, server_in, wait_for
from tests.fault.test_kill import Ledger, check_against, clients, those_present
from tools.server.holders import who_listens, who_locks

ROUNDS = int(os.environ.get("SINOGRAM_RESTARTS", "1"))
AT_ONCE_S = 20.0  # a millisecond where nothing else runs; without its supervisor, a child would go on for ever
STUDY = Instance(1, "SENT", 7, 7, 200)
STUDY_SIZE = 300
SCRIPT = """
    function ReceivedInstanceFilter(dicom, origin, info) return true end
    function OnStoredInstance(id, tags, metadata, origin) if not waits then waits = true; os.execute('sleep 2') end end
"""


def test_a_restart_at_once_succeeds_and_loses_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("SINOGRAM_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SINOGRAM_KILL_SEED={seed}")
    chosen, ledger, supply = random.Random(seed), Ledger(), Supply(seed)
    script = tmp_path / "script.lua"
    script.write_text(SCRIPT)
    with receive() as sink, server_in(tmp_path / "server", **TWO_OF_EACH) as server:
        server.options |= {"DicomModalities": {"sink": ["SINK", "127.0.0.1", sink.port]}, "JobsHistorySize": 1000}
        server.start()
        _store_study(server, ledger)
        jobs = []
        for number in range(ROUNDS):
            before = set(ledger.sent)
            assert server.process is not None
            with clients(server, ledger, supply, f"RESTART{number}", random.Random(chosen.random())):
                jobs.append(_submit(server))
                ledger.wait_for_more(chosen.randint(1, 100))
                killed = server.process
                kill(killed.pid)
                server.options["LuaScripts"] = [str(script)] if number % 2 == 0 else []
                server.restart_after(killed)
                ledger.wait_for_more(10)
            check_against(server, ledger, set(ledger.sent) - before)
        _all_arrive(server, sink, jobs)
        present = check_archive(server)
        check_bytes(server, those_present(ledger, present), by_rest=ledger.by_rest)
        assert server.stop() == 0
    assert "Traceback" not in (server.folder / "server.log").read_text()
    print(f"{ROUNDS} restarts, {len(ledger.acknowledged)} acknowledged, {len(jobs)} jobs, {sink.repeated} sent again")


def _store_study(server: ServerUnderTest, ledger: Ledger) -> None:
    """Store what jobs send. Not told to the ledger as acknowledged: nobody may delete it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(1, STUDY_SIZE + 1):
            instance = Instance(number, "SENT", 7, 7, 200)
            ledger.sending(instance, by_rest=True)
            archive.writestr(str(number), instance.file())
    assert server.request("POST", "/instances", packed.getvalue()).status == 200


def _submit(server: ServerUnderTest) -> str:
    """Have a study sent, by a job that the end of the supervisor cuts off."""
    study = orthanc_id(STUDY.patient, STUDY.study_uid)
    body = f'{{"Resources": ["{study}"], "Asynchronous": true}}'.encode()
    answer = server.request("POST", "/modalities/sink/store", body)
    assert answer.status == 200, answer
    return str(answer.json["ID"])


def _all_arrive(server: ServerUnderTest, sink: Receiver, jobs: list[str]) -> None:
    for job in jobs:
        state = wait_for(lambda job=job: _end_of(server, job), "a job to end", 120)  # type: ignore[misc]
        assert state == "Success"
    assert set(sink.counts) == set(range(1, STUDY_SIZE + 1))


def _end_of(server: ServerUnderTest, job: str) -> str | None:
    state = str(server.get(f"/jobs/{job}")["State"])
    return state if state in {"Success", "Failure"} else None


# -- who dies with the supervisor, and what outlives it ---------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path / "server") as not_started:
        yield not_started


def test_whatever_a_child_is_doing_it_dies_with_its_supervisor(server: ServerUnderTest, tmp_path: Path) -> None:
    """One is idle, one is within a command of the system, one does not hear signals (stopped), one is in its own end."""
    script = tmp_path / "script.lua"
    script.write_text("function OnStoredInstance() os.execute('sleep 60') end\n")
    server.options |= {"LuaScripts": [str(script)], **TWO_OF_EACH}
    server.start()
    assert server.request("POST", "/instances", STUDY.file()).status == 200
    named = server.named()
    sleeper = wait_for(lambda: _child_of(named["lua-main"]), "the command")
    freeze(named["gateway-1"])
    os.kill(named["gateway-2"], 12)  # SIGUSR2: it stops in order
    assert server.process is not None
    kill(server.process.pid)
    children = [pid for name, pid in named.items() if name != "supervisor"]
    wait_for(lambda: not any(is_running(pid) for pid in children), "the children to end", AT_ONCE_S)
    _holds_nothing_of_ours(sleeper, server)
    server.restart_after(server.process)
    assert server.get("/instances") == [STUDY.id]


def test_what_a_script_leaves_behind_can_be_ended_and_holds_nothing(server: ServerUnderTest) -> None:
    server.options["ExecuteLuaEnabled"] = True
    server.start()
    answer = server.request("POST", "/tools/execute-script", b"os.execute('sleep 60 & echo')")
    assert answer.status == 200, answer
    (sleeper,) = [pid for pid in server.pids() if Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"]
    _holds_nothing_of_ours(sleeper, server)
    os.kill(sleeper, 15)
    wait_for(lambda: not is_running(sleeper), "SIGTERM to end it")
    assert server.stop() == 0


def test_a_child_that_is_being_started_dies_with_its_supervisor(server: ServerUnderTest) -> None:
    for count in (2, 3, 4):
        process = server.launch()
        wait_for(lambda: len(server.pids()) >= count, f"{count} processes")  # noqa: B023  # called at once
        kill(process.pid)
        server.wait(AT_ONCE_S)
    server.start()
    assert server.stop() == 0


def _child_of(pid: int) -> int | None:
    found = [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]
    return found[0] if found else None


def _holds_nothing_of_ours(pid: int, server: ServerUnderTest) -> None:
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [link for link in links if link.startswith("socket:") or str(server.storage) in link]
    locking = who_locks(server.index / "lock")
    assert locking is None or locking.pid != pid
    kill(pid)


# -- what somebody else holds -----------------------------------------------------------------------------------------


def test_a_port_of_a_living_server_is_refused_and_its_holder_named(server: ServerUnderTest, tmp_path: Path) -> None:
    server.start()
    second = ServerUnderTest(tmp_path / "second", {"HttpPort": server.http_port})
    assert second.launch().wait(30) == 2
    holder = who_listens(server.http_port)
    assert holder is not None
    assert holder.pid in server.pids()
    assert f"port {server.http_port}" in second.log
    assert "in use by process" in second.log
    assert server.stop() == 0


def test_a_port_of_another_program_is_refused_and_the_program_named(server: ServerUnderTest) -> None:
    listens = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", listens], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        server.options["DicomPort"] = int(other.stdout.readline())
        assert server.launch().wait(30) == 2
        assert f"in use by process {other.pid} (" in server.log
        assert "serve.waiting" not in server.log
        other.kill()


def test_a_folder_of_a_living_server_is_refused_and_its_core_named(server: ServerUnderTest, tmp_path: Path) -> None:
    server.start()
    second = ServerUnderTest(tmp_path / "second", {"StorageDirectory": str(server.storage)})
    assert second.launch().wait(30) == 2
    assert f"another server is using this index folder: process {server.named()[CORE]} (sinogram core)" in second.log
    assert server.stop() == 0


def test_what_an_orphan_of_a_killed_server_holds_is_waited_for(server: ServerUnderTest) -> None:
    """It looks like a child whose supervisor is gone, and ends when it is told to."""
    holds = """if True:
        import fcntl, os, socket, sys
        os.makedirs(sys.argv[-1], exist_ok=True)
        lock = os.open(sys.argv[-1] + "/lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        listener = socket.create_server(("127.0.0.1", int(sys.argv[-2])))
        print(flush=True)
        sys.stdin.readline()  # lets go of the port, and a moment later of the lock
        listener.close()
        print(flush=True)
        sys.stdin.readline()
    """
    like_a_child = (
        "/x/tools/server/launcher.py",
        str((1 << 22) + 1),
        "tools.server.process",
        str(server.http_port),
        str(server.index),
    )
    with subprocess.Popen(
        [sys.executable, "-c", holds, *like_a_child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as orphan:
        assert orphan.stdin is not None
        assert orphan.stdout is not None
        orphan.stdout.readline()
        server.launch()
        wait_for(lambda: f"port {server.http_port}: held by process {orphan.pid}" in server.log, "the start to wait")
        orphan.stdin.write(b"\n")
        wait_for(lambda: "the index folder: held by process" in server.log, "the core to wait")
        orphan.stdin.close()
        orphan.wait()
    server.wait_until_ready()
    assert server.log.count("serve.waited") == 2
    assert server.stop() == 0


def test_a_port_that_is_only_connected_from_is_told_from_one_that_is_listened_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert who_listens(client.getsockname()[1]) is None, "our own is not another's"
