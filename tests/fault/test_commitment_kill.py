"""A report of storage commitment arrives though everything is killed between the request and the report: once or twice.

`SINOGRAM_COMMITMENT_KILLS` is in how many rounds; each kills at another moment.
"""

import os
import threading
from pathlib import Path

from tests.commitment_peer import Pair, commitment_peer
from tests.contract.retrieve_stage import study
from tests.dicom_bytes import MR, uid
from tests.fault.servers import server_in, wait_for

ROUNDS = int(os.environ.get("SINOGRAM_COMMITMENT_KILLS", "1"))
INSTANCES = 20
DEADLINE_S = 120.0


def test_a_report_survives_the_death_of_everything(tmp_path: Path) -> None:
    pairs: list[Pair] = [(MR, uid(1, 1, 1, number)) for number in range(1, INSTANCES + 1)]
    with commitment_peer() as peer:
        modalities = {"scanner": ["SCANNER", "127.0.0.1", peer.port]}
        with server_in(tmp_path, DicomModalities=modalities) as server:
            server.start()
            for file in study(instances=INSTANCES):
                assert server.request("POST", "/instances", file).status == 200
            for number in range(ROUNDS):
                transaction = f"1.9.{number}"
                peer.may_answer.clear()  # so a report that has left is not acknowledged
                assert peer.request(server.dicom_port, transaction, pairs) == 0
                threading.Event().wait(0.05 * number)  # any moment will do: of the job's start, its reading, the report
                server.kill_all()
                server.wait()
                peer.may_answer.set()
                server.start()
                wait_for(lambda: _is_done(server.get("/jobs?expand"), transaction), "the job to end", DEADLINE_S)  # noqa: B023  # called at once
                arrived = [report for report in peer.reports if report.transaction == transaction]
                assert 1 <= len(arrived) <= 2
                assert all(report.succeeded == pairs and not report.failed for report in arrived)
                print(f"round {number}: {len(arrived)} reports")
            assert server.stop() == 0


def _is_done(jobs: list[dict[str, object]], transaction: str) -> bool:
    return any(
        job["State"] == "Success" and job["Content"]["TransactionUid"] == transaction  # type: ignore[index]  # plain JSON
        for job in jobs
    )
