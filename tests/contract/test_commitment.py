"""Storage commitment in both roles, on a real archive with an engine of jobs, and a modality made with pynetdicom."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actors.messages.commands.commitments import ReportCommitment
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from actors.services.jobs.operations import commitment_plan
from actors.services.remote.commitment_transactions import CommitmentTransactions
from actors.services.remote.modality import Modality, Operation
from api.dicom.commitment_scp import create_commitment_services
from api.dicom.settings import DicomSettings
from events.identifiers import Level
from store.records import Instance, Origin
from tests.commitment_peer import SECONDARY_CAPTURE, CommitmentPeer, Pair, commitment_peer
from tests.contract.destination import destination
from tests.contract.operations_stage import Engine, working
from tests.contract.rest_stage import Answer, RestStage, error_of, ids, rest_stage, shown
from tests.contract.retrieve_stage import fill, serving, study
from tests.dicom_bytes import CT, MR, dataset, encode, uid
from tests.peer.servers import wait_for
from tools.server.core import Core

KNOWN: list[Pair] = [(MR, uid(1, 1, 1, number)) for number in (1, 2, 3)]
UNKNOWN: Pair = (MR, "1.2.3")


@dataclass
class Stage:
    engine: Engine
    rest: RestStage
    peer: CommitmentPeer
    port: int  # of our SCP

    def vouched(self, *pairs: Pair) -> tuple[list[Pair], list[tuple[str, str, int]]]:
        """Ask, and return what the report says."""
        before = len(self.peer.reports)
        assert self.peer.request(self.port, f"1.9.{before}", pairs) == 0
        wait_for(lambda: len(self.peer.reports) > before, "the report")
        told = self.peer.reports[-1]
        assert told.transaction == f"1.9.{before}"
        return told.succeeded, told.failed

    def instance(self, pair: Pair) -> Instance:
        with self.engine.core.views.snapshot() as snapshot:
            (found,) = (
                each
                for each in snapshot.list(Level.INSTANCE)
                if isinstance(each, Instance) and each.tags.get(0x00080018) == pair[1]
            )
            return found

    def post(self, path: str, body: object = "") -> Answer:
        return self.rest.ask(path, "POST", json.dumps(body).encode())

    def transaction(self, **body: object) -> str:
        """Ask the modality to vouch; returns the transaction."""
        return str(shown(self.post("/modalities/scanner/storage-commitment", body))["ID"])

    def state(self, transaction: str) -> Any:
        return shown(self.rest.ask(f"/storage-commitment/{transaction}"))


@contextmanager
def staged(archive: Core, **allowed: bool) -> Iterator[Stage]:
    fill(archive, *study(instances=3))
    with commitment_peer() as peer:
        operations = frozenset(each for each in Operation if allowed.get(each.name, True))
        scanner = Modality(name="scanner", aet=peer.aet, host="127.0.0.1", port=peer.port, allowed=operations)
        with working(archive, [scanner]) as engine, rest_stage(archive) as rest:
            put = ["SCANNER", "127.0.0.1", peer.port]
            assert rest.ask("/modalities/scanner", "PUT", json.dumps(put).encode()).status == 200
            transactions = CommitmentTransactions(archive.client, remembered=3)

            def submit(plan: commitment_plan.CommitmentPlan) -> None:
                engine.jobs.submit(commitment_plan.JOB_TYPE, commitment_plan.to_plan(plan), steps=plan.steps)

            services = create_commitment_services(submit, transactions.record)
            settings = DicomSettings(aet="OURS", modalities=(scanner,), scp_timeout_s=10)
            with serving(*services, settings=settings) as port:
                yield Stage(engine, rest, peer, port)


@pytest.fixture
def stage(archive: Core) -> Iterator[Stage]:
    with staged(archive) as made:
        yield made


# --- this server vouches ---


def test_what_is_here_and_whole_is_vouched_for(stage: Stage) -> None:
    assert stage.vouched(*KNOWN, KNOWN[0]) == ([*KNOWN, KNOWN[0]], [])
    (report,) = stage.peer.reports
    assert report.titles == ("ANY-SCP", "SCANNER")  # the title that was asked calls
    assert report.roles == [("1.2.840.10008.1.20.1", False, True)]  # as SCP, and as nothing else (PS3.4 §J.3.3.1)


def test_what_is_not_here_and_what_is_of_another_class(stage: Stage) -> None:
    wrong = (CT, KNOWN[1][1])
    assert stage.vouched(UNKNOWN, KNOWN[0], wrong) == ([KNOWN[0]], [(*UNKNOWN, 0x0112), (*wrong, 0x0119)])
    assert stage.peer.reports[0].kind == 2
    assert stage.vouched() == ([], [])  # nothing may be asked for
    assert stage.peer.reports[1].kind == 1


def test_more_instances_than_one_step_reads(stage: Stage) -> None:
    fill(stage.engine.core, *study(7, instances=commitment_plan.READ_PER_STEP + 5))
    pairs = [(MR, uid(7, 1, 1, number)) for number in range(1, commitment_plan.READ_PER_STEP + 6)]
    assert stage.vouched(*pairs, UNKNOWN) == (pairs, [(*UNKNOWN, 0x0112)])


def cut(data: bytes) -> bytes:
    return data[:-1]


def altered(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_a_damaged_file_is_not_vouched_for(stage: Stage) -> None:
    """Also one that was read and found whole before, by the very process that vouches."""
    assert stage.vouched(*KNOWN) == (KNOWN, [])
    told: list[tuple[str, str, int]] = []
    for damaged, harm in zip(KNOWN, (cut, altered, None), strict=True):
        path = stage.engine.core.blobs.path(stage.instance(damaged).blob)
        if harm is None:
            path.unlink()
        else:
            path.write_bytes(harm(path.read_bytes()))
        told.append((*damaged, 0x0110))
        assert stage.vouched(*KNOWN) == (KNOWN[len(told) :], told)
    assert shown(stage.rest.ask("/storage/status"))["CountDamaged"] == 3


def test_of_two_patients_with_one_uid_both_must_be_whole(stage: Stage) -> None:
    """Nobody can tell which of them is meant."""
    twin = encode(dataset(1, 1, 1, 1, PatientID="OTHER"))
    fill(stage.engine.core, twin)
    assert stage.vouched(KNOWN[0]) == ([KNOWN[0]], [])
    with stage.engine.core.views.snapshot() as snapshot:
        newest = [each for each in snapshot.list(Level.INSTANCE) if isinstance(each, Instance)][-1]
    stage.engine.core.blobs.path(newest.blob).unlink()
    assert stage.vouched(KNOWN[0]) == ([], [(*KNOWN[0], 0x0110)])


def test_a_report_that_is_refused_is_the_error_of_its_job(stage: Stage) -> None:
    stage.peer.status_of_report = 0x0110
    stage.vouched(KNOWN[0])
    assert shown(stage.rest.ask("/jobs?expand"))[0]["Content"] == {
        "CalledAet": "ANY-SCP", "Description": "", "RemoteAet": "SCANNER", "TransactionUid": "1.9.0",
    }  # fmt: skip
    job = wait_for(
        lambda: next((j for j in shown(stage.rest.ask("/jobs?expand")) if j["State"] == "Failure"), None), "its end"
    )
    assert job["ErrorDetails"] == "Storage commitment - The request cannot be handled by remote AET: SCANNER"


def test_a_report_that_cannot_be_taken_just_now_is_tried_again(stage: Stage) -> None:
    stage.peer.status_of_report = 0x0213
    stage.vouched(KNOWN[0])
    wait_for(lambda: shown(stage.rest.ask("/jobs?expand"))[0]["State"] == "Retry", "the next attempt to be planned")


def test_a_request_that_is_none_has_a_status(stage: Stage) -> None:
    cases: list[tuple[dict[str, Any], int]] = [
        ({"transaction": ""}, 0x0115),
        ({"pairs": None}, 0x0115),
        ({"pairs": [("", "1.2")]}, 0x0115),
        ({"kind": 2}, 0x0123),
        ({"instance": "1.2.3"}, 0x0112),
    ]
    for options, status in cases:
        given: dict[str, Any] = {"transaction": "1.9", "pairs": KNOWN, **options}
        assert (options, stage.peer.request(stage.port, **given)) == (options, status)
    assert shown(stage.rest.ask("/jobs")) == []


def test_who_is_unknown_or_may_not_ask_is_not_answered(archive: Core) -> None:
    with staged(archive, N_ACTION=False) as stage:
        assert stage.peer.request(stage.port, "1.9", KNOWN) is None
        assert replace(stage.peer, aet="STRANGER").request(stage.port, "1.9", KNOWN) is None
        assert stage.peer.report(stage.port, "1.9", KNOWN) == 0


def test_who_may_not_report_is_not_answered(archive: Core) -> None:
    with staged(archive, N_EVENT_REPORT=False) as stage:
        assert stage.peer.report(stage.port, "1.9", KNOWN) is None
        assert stage.peer.request(stage.port, "1.9", KNOWN) == 0


# --- others vouch ---


def test_a_modality_is_asked_and_reports(stage: Stage) -> None:
    transaction = stage.transaction(Resources=ids(stage.rest, "studies"), DicomInstances=[UNKNOWN])
    (asked,) = stage.peer.requests
    assert (asked.transaction, asked.succeeded) == (transaction, [*KNOWN, UNKNOWN])
    assert stage.state(transaction) == {"RemoteAET": "SCANNER", "Status": "Pending"}
    assert stage.peer.report(stage.port, transaction, KNOWN, [(*UNKNOWN, 0x0112)]) == 0
    told = stage.state(transaction)
    assert (told["Status"], told["RemoteAET"]) == ("Failure", "SCANNER")
    assert told["Success"] == [{"SOPClassUID": one, "SOPInstanceUID": other} for one, other in KNOWN]
    (failure,) = told["Failures"]
    assert (failure["SOPInstanceUID"], failure["FailureReason"]) == (UNKNOWN[1], 0x0112)
    assert stage.peer.report(stage.port, transaction, [*KNOWN, UNKNOWN]) == 0
    assert stage.state(transaction)["Status"] == "Success"


def test_what_is_vouched_for_can_be_removed(stage: Stage) -> None:
    asked = ids(stage.rest, "instances")
    transaction = stage.transaction(Resources=asked)
    refused = (500, 6, f"Cannot remove DICOM instances after failure in storage commitment transaction: {transaction}")
    assert error_of(stage.post(f"/storage-commitment/{transaction}/remove")) == refused  # it is pending
    stage.peer.report(stage.port, transaction, KNOWN[:2], [(*KNOWN[2], 0x0110)])
    assert error_of(stage.post(f"/storage-commitment/{transaction}/remove")) == refused
    stage.peer.report(stage.port, transaction, KNOWN[:2])
    assert shown(stage.post(f"/storage-commitment/{transaction}/remove")) == {}
    assert stage.instance(KNOWN[2])
    assert len(ids(stage.rest, "instances")) == 1
    assert shown(stage.post(f"/storage-commitment/{transaction}/remove")) == {}


def test_nothing_is_removed_that_was_not_asked_for(stage: Stage) -> None:
    """Orthanc 1.12.7 deletes all three."""
    transaction = stage.transaction(DicomInstances=[KNOWN[0]])
    stage.peer.report(stage.port, transaction, KNOWN)
    assert shown(stage.post(f"/storage-commitment/{transaction}/remove")) == {}
    assert len(ids(stage.rest, "instances")) == 2


def test_nothing_is_removed_that_another_modality_vouches_for(stage: Stage) -> None:
    transaction = stage.transaction(DicomInstances=[KNOWN[0]])
    other = ReportCommitment(transaction=transaction, remote_aet="OTHER", succeeded=[list(KNOWN[0])], failed=[], most=9)
    stage.engine.core.client.change_commitment(other)
    assert stage.state(transaction)["RemoteAET"] == "OTHER"
    status, code, _ = error_of(stage.post(f"/storage-commitment/{transaction}/remove"))
    assert (status, code) == (500, 6)
    assert len(ids(stage.rest, "instances")) == 3


def test_the_oldest_transactions_make_room(stage: Stage) -> None:
    """Three are remembered by who records reports here, also those that nobody has asked for."""
    for number in range(5):
        assert stage.peer.report(stage.port, f"1.7.{number}", KNOWN) == 0
    found = [stage.rest.ask(f"/storage-commitment/1.7.{number}").status for number in range(5)]
    assert found == [404, 404, 200, 200, 200]


def test_a_request_that_is_refused_leaves_nothing(stage: Stage) -> None:
    stage.peer.status_of_request = 0x0110
    expected = (500, 9, "Storage commitment - The request cannot be handled by remote AET: SCANNER")
    answer = stage.post("/modalities/scanner/storage-commitment", {"DicomInstances": KNOWN})
    assert error_of(answer) == expected
    (asked,) = stage.peer.requests
    assert stage.rest.ask(f"/storage-commitment/{asked.transaction}").status == 404


def test_a_modality_that_does_not_offer_it(stage: Stage) -> None:
    """The number is Orthanc's. What a job has sent is there, and it says so: who reads that does not send again."""
    with destination() as ward:
        put = json.dumps(["WORKST", "127.0.0.1", ward.port]).encode()
        assert stage.rest.ask("/modalities/ward", "PUT", put).status == 200
        answer = stage.post("/modalities/ward/storage-commitment", {"DicomInstances": KNOWN})
        assert error_of(answer) == (500, 2015, "WORKST does not offer storage commitment")
        body = {"Resources": ids(stage.rest, "instances"), "StorageCommitment": True}
        answer = stage.post("/modalities/ward/store", body)
    assert error_of(answer) == (500, 2015, "Sending is done, but WORKST does not offer storage commitment")
    assert sorted(ward.instances) == sorted(instance for _, instance in KNOWN)


def test_a_report_that_is_none_has_a_status(stage: Stage) -> None:
    for transaction, kind, status in (("", 1, 0x0115), ("1.7", 2, 0x0115), ("1.7", 3, 0x0113)):
        assert stage.peer.report(stage.port, transaction, KNOWN, kind=kind) == status
    assert stage.rest.ask("/storage-commitment/1.7").status == 404


def test_a_store_job_asks_once_all_is_sent(archive: Core) -> None:
    with staged(archive) as stage:
        ingest = Ingest(archive.client, archive.views, archive.blobs, "gateway-1", lambda: IngestSettings(sync=False))
        with ingest.open(Origin(kind="RestApi")) as upload:
            upload.write(encode(dataset(9, SOPClassUID=SECONDARY_CAPTURE)))
            upload.store()
        ingest.close()
        pair = (SECONDARY_CAPTURE, uid(9, 1, 1, 1))
        (sent,) = (
            name for name in ids(stage.rest, "instances") if stage.instance(pair).id.hex() == name.replace("-", "")
        )
        content = shown(stage.post("/modalities/scanner/store", {"Resources": [sent], "StorageCommitment": True}))
        assert (content["InstancesCount"], content["FailedInstancesCount"]) == (1, 0)
        (asked,) = stage.peer.requests
        assert (asked.transaction, asked.succeeded) == (content["StorageCommitmentTransactionUID"], [pair])
        assert stage.state(asked.transaction)["Status"] == "Pending"
        stage.peer.status_of_request = 0x0110
        refused = stage.post("/modalities/scanner/store", {"Resources": [sent], "StorageCommitment": True})
        assert error_of(refused)[:2] == (500, 9)
