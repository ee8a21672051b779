"""Jobs that send to a DICOMweb server and retrieve from one go on where they were when everything is killed in the midst of both."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.contract.dicomweb_peer import RELATED, Reply, Seen, dicomweb_peer, multipart, uid_of
from tests.contract.retrieve_stage import study
from tests.fault.servers import server_in, wait_for

OURS, THEIRS = study(1, instances=8), study(2, instances=8)
BATCH = 2
BEFORE = 2  # batches that are answered; the next is not, when the server dies
COME = 5  # instances that have come by then
STALL_S = 300  # longer than the server takes to die


def test_jobs_go_on_and_move_nothing_twice_but_one_batch(tmp_path: Path) -> None:
    killed = threading.Event()
    sent: list[list[str]] = []

    def answer(seen: Seen) -> Reply | None:
        if seen.method == "POST":
            sent.append(there.stored()[-1])
            if len(sent) > BEFORE:
                killed.wait(STALL_S)
        return None

    def stream(seen: Seen) -> Iterator[bytes] | None:
        return None if killed.is_set() or seen.path != "/studies/1.2" else stalling()

    def stalling() -> Iterator[bytes]:
        whole = multipart(THEIRS)
        yield f"HTTP/1.1 200 OK\r\nContent-Type: {RELATED}\r\nContent-Length: {len(whole)}\r\n\r\n".encode()
        yield whole[: whole.index(THEIRS[COME])]
        killed.wait(STALL_S)

    options = {"ServersInDatabase": True, "StowMaxInstances": BATCH}
    with dicomweb_peer(*THEIRS) as there, server_in(tmp_path, DicomWeb=options, ConcurrentJobs=2) as server:
        there.answer, there.streams = answer, stream
        server.start()

        def post(operation: str, resources: object) -> str:
            body = json.dumps({"Resources": resources, "Synchronous": False}).encode()
            path: str = server.request("POST", f"/dicom-web/servers/there/{operation}", body).json["Path"]
            return path

        url = json.dumps([f"http://127.0.0.1:{there.port}/"]).encode()
        assert server.request("PUT", "/dicom-web/servers/there", url).status == 200
        for file in OURS:
            assert server.request("POST", "/instances", file).status == 200
        jobs = [post("stow", server.get("/studies")), post("retrieve", [{"Study": "1.2"}])]
        wait_for(lambda: len(sent) > BEFORE, "the batch that is not answered")
        wait_for(lambda: len(server.get("/instances")) == len(OURS) + COME, "the first files to be stored")
        server.kill_all()
        server.wait()
        killed.set()
        server.start()
        wait_for(lambda: all(server.get(job)["State"] == "Success" for job in jobs), "the jobs to end")
        stored = [server.request("GET", f"/instances/{name}/file").body for name in server.get("/instances")]
        assert server.stop() == 0
    assert sorted(stored) == sorted(OURS + THEIRS)
    assert set(there.has.values()) >= set(OURS)
    counted = Counter(uid for batch in sent for uid in batch)
    assert set(counted) == set(map(uid_of, OURS))
    assert counted.total() <= len(OURS) + BATCH
    fetched = [seen.path.rpartition("/")[2] for seen in there.seen if "/instances/" in seen.path]
    assert sorted(fetched) == sorted(map(uid_of, THEIRS[COME:]))
    assert sum(seen.path == "/studies/1.2" for seen in there.seen) == 1
