"""A job that sends to a peer goes on where it was when everything is killed while the peer owes an answer."""

import json
from collections import Counter
from pathlib import Path

from tests.contract.retrieve_stage import study
from tests.contract.test_peer_sends import serving
from tests.fault.servers import server_in, wait_for

INSTANCES = 8
BEFORE = 3  # are answered; the next is not, when the server dies


def test_what_a_peer_has_is_not_sent_again(tmp_path: Path) -> None:
    files = study(instances=INSTANCES)
    with serving() as there, server_in(tmp_path, OrthancPeersInDatabase=True) as server:
        server.start()
        for file in files:
            assert server.request("POST", "/instances", file).status == 200
        url = f"http://127.0.0.1:{there.server_port}/"
        assert server.request("PUT", "/peers/there", json.dumps([url]).encode()).status == 200
        there.answered_anyway = BEFORE
        there.may_answer.clear()
        body = json.dumps({"Resources": server.get("/studies"), "Asynchronous": True}).encode()
        job = server.request("POST", "/peers/there/store", body).json["Path"]
        wait_for(lambda: len(there.seen) > BEFORE, "the request that is not answered")
        server.kill_all()
        server.wait()
        there.may_answer.set()
        server.start()
        wait_for(lambda: server.get(job)["State"] == "Success", "the job to end")
        assert server.stop() == 0
    sent = Counter(file for _, _, file in there.seen)
    assert set(sent) == set(files)
    assert sent.total() <= INSTANCES + 1
