"""Storage commitment: beside a real Orthanc in both roles, with it as the other side, and with pynetdicom's."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.commitment_peer import (
    PUSH_MODEL,
    SECONDARY_CAPTURE,
    WELL_KNOWN,
    CommitmentPeer,
    Message,
    Pair,
    commitment_peer,
)
from tests.dicom_bytes import CT, MR, dataset, encode, uid
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair as Servers
from tests.peer.exchange import Request, Server
from tests.peer.servers import wait_for

pytestmark = pytest.mark.peer

KNOWN: list[Pair] = [(SECONDARY_CAPTURE, uid(1, 1, 1, number)) for number in (1, 2, 3)]
UNKNOWN: Pair = (MR, "1.2.3")
WRONG_CLASS: Pair = (CT, KNOWN[1][1])
NOBODY = 1  # a port where nobody listens


@pytest.fixture(scope="module")
def peer() -> Iterator[CommitmentPeer]:
    with commitment_peer() as made:
        yield made


@pytest.fixture(scope="module")
def pair(fresh: Servers, peer: CommitmentPeer) -> Servers:
    for server, other in ((fresh.ours, fresh.theirs), (fresh.theirs, fresh.ours)):
        modalities: dict[str, object] = {
            "scanner": ["SCANNER", "127.0.0.1", peer.port],
            "denied": {"AET": "DENIED", "Host": "127.0.0.1", "Port": peer.port, "AllowStorageCommitment": False},
            "other": ["PEER", "127.0.0.1", other.dicom_port],
            "nobody": ["NOBODY", "127.0.0.1", NOBODY],
        }
        for name, modality in modalities.items():
            assert server.ask(Request(f"/modalities/{name}", "PUT", json.dumps(modality))).status == 200
        for number in (1, 2, 3):
            file = encode(dataset(1, 1, 1, number, SOPClassUID=SECONDARY_CAPTURE))
            assert server.ask(Request("/instances", "POST", file)).status == 200
    return fresh


def both(pair: Servers) -> tuple[Server, Server]:
    return pair.ours, pair.theirs


# --- they vouch ---


@pytest.mark.parametrize(
    "pairs", [KNOWN, [KNOWN[2], KNOWN[0], KNOWN[2]], [UNKNOWN, KNOWN[0], WRONG_CLASS, KNOWN[0]], [UNKNOWN, UNKNOWN], []]
)
def test_reports_are_the_same(pair: Servers, peer: CommitmentPeer, pairs: list[Pair]) -> None:
    told: list[Message] = []
    for server in both(pair):
        peer.reports.clear()
        assert peer.request(server.dicom_port, "1.9.1", pairs) == 0
        wait_for(lambda: peer.reports, "the report")
        told += peer.reports
    ours, theirs = told
    assert replace(ours, lists=theirs.lists) == theirs
    assert ours.lists == (
        bool(ours.succeeded) or not ours.failed,
        bool(ours.failed),
    )  # PS3.4 Table J.3-2: none is empty
    assert (ours.transaction, ours.titles) == ("1.9.1", ("ANY-SCP", "SCANNER"))


def test_the_same_are_not_answered(pair: Servers, peer: CommitmentPeer) -> None:
    for server in both(pair):
        for aet in ("STRANGER", "DENIED"):
            asker = CommitmentPeer(aet)
            assert asker.request(server.dicom_port, "1.9.2", KNOWN) is None
            assert asker.report(server.dicom_port, "1.9.2", KNOWN) is None


def test_jobs_are_shown_alike(pair: Servers, peer: CommitmentPeer) -> None:
    shown = []
    for server in both(pair):
        before = set(_list(server, "/jobs"))
        peer.request(server.dicom_port, "1.9.3", KNOWN)
        (job,) = wait_for(lambda server=server, before=before: set(_list(server, "/jobs")) - before, "the job")  # type: ignore[misc]  # mypy does not see the defaults
        wait_for(lambda server=server, job=job: server.get_json(f"/jobs/{job}")["State"] == "Success", "its end")  # type: ignore[misc]
        told: Any = server.get_json(f"/jobs/{job}")
        shown.append({name: told[name] for name in ("Type", "Content", "Priority", "ErrorCode", "Progress")})
    assert shown[0] == shown[1]


# --- they ask ---


def test_requests_are_the_same(pair: Servers, peer: CommitmentPeer) -> None:
    asked = []
    for server in both(pair):
        peer.requests.clear()
        instances = sorted(_list(server, "/instances"))
        body = {
            "Resources": [instances[1], instances[0], instances[1]],
            "DicomInstances": [list(UNKNOWN), {"SOPClassUID": MR, "SOPInstanceUID": "1.2.4"}],
        }
        answer: Any = _post(server, "/modalities/scanner/storage-commitment", body)
        (request,) = peer.requests
        assert answer == {"ID": request.transaction, "Path": f"/storage-commitment/{request.transaction}"}
        assert request.transaction.startswith("2.25.")
        asked.append(
            (request.kind, request.classes, request.succeeded, request.titles, request.roles, request.proposed)
        )
    assert asked[0] == asked[1]
    assert asked[0][:2] == (1, (PUSH_MODEL, WELL_KNOWN))


BODIES: list[object] = [
    {"DicomInstances": [["1.2"]]}, {"DicomInstances": [{"SOPClassUID": "1.2"}]}, {"DicomInstances": ["1.2"]}, {"DicomInstances": {}},
    {"DicomInstances": [["", "1.4"]]}, {"DicomInstances": [[1, "1.4"]]}, {"DicomInstances": [5]}, {}, [], "x", 5, {"Resources": ["nope"]},
    {"Resources": "x"}, {"Resources": [5]}, {"Resources": ["00000000-00000000-00000000-00000000-00000000"]},
    {"Resources": [], "Timeout": "x"},
]  # fmt: skip


def test_bad_requests_are_answered_alike(pair: Servers) -> None:
    path = "/modalities/scanner/storage-commitment"
    requests = [Request(path, "POST", json.dumps(body)) for body in BODIES]
    good = json.dumps({"DicomInstances": [KNOWN[0]]})
    requests += [Request(path, "POST", "nope"), Request("/modalities/nope/storage-commitment", "POST", good)]
    requests += [Request("/modalities/nobody/storage-commitment", "POST", good)]
    requests += [Request("/storage-commitment/1.2.3"), Request("/storage-commitment")]
    requests += [Request("/storage-commitment/1.2.3/remove", "POST", "")]
    assert_same(pair.differences(requests))


def test_a_request_that_is_refused(pair: Servers, peer: CommitmentPeer) -> None:
    peer.status_of_request = 0x0110
    body = json.dumps({"DicomInstances": [KNOWN[0]]})
    instance = _list(pair.ours, "/instances")[0]
    send = json.dumps({"Resources": [instance], "StorageCommitment": True})
    try:
        assert_same(
            pair.differences(
                [
                    Request("/modalities/scanner/storage-commitment", "POST", body),
                    Request("/modalities/scanner/store", "POST", send),
                ]
            )
        )
    finally:
        peer.status_of_request = 0


def test_reports_that_come_in_are_shown_alike(pair: Servers, peer: CommitmentPeer) -> None:
    reports: list[tuple[list[Pair] | None, list[tuple[str, str, int]]]] = [
        (KNOWN, []), (KNOWN[:1], [(*KNOWN[1], 0x0112), (*KNOWN[2], 0x0119)]),
        *((None, [(*KNOWN[0], reason)]) for reason in (0x0110, 0x0122, 0x0131, 0x0213, 0x0999, 0)),
    ]  # fmt: skip
    for number, (succeeded, failed) in enumerate(reports):
        transaction = f"1.7.{number}"  # nobody has asked; it is kept all the same
        for server in both(pair):
            assert peer.report(server.dicom_port, transaction, succeeded, failed) == 0
        assert_same(pair.differences([Request(f"/storage-commitment/{transaction}")]))


def test_a_pending_transaction_is_shown_alike(pair: Servers) -> None:
    shown = []
    for server in both(pair):
        answer: Any = _post(server, "/modalities/scanner/storage-commitment", {"DicomInstances": [KNOWN[0]]})
        remove = server.ask(Request(f"{answer['Path']}/remove", "POST", ""))
        told: Any = remove.json()
        shown.append((server.get_json(answer["Path"]), remove.status, told["OrthancStatus"], told["Details"][:70]))
    assert shown[0] == shown[1]
    assert shown[0][0] == {"RemoteAET": "SCANNER", "Status": "Pending"}


# --- with each other ---


def test_each_vouches_for_the_other(pair: Servers) -> None:
    """One sends and asks; the other reports; what it has may then be removed."""
    for number, (server, other) in enumerate([both(pair), both(pair)[::-1]]):
        file = encode(dataset(5 + number, SOPClassUID=SECONDARY_CAPTURE))
        sent: Any = _post(server, "/instances", file)
        content: Any = _post(server, "/modalities/other/store", {"Resources": [sent["ID"]], "StorageCommitment": True})
        path = f"/storage-commitment/{content['StorageCommitmentTransactionUID']}"
        told: Any = wait_for(lambda server=server, path=path: _reported(server, path), "the report")  # type: ignore[misc]
        assert told == {
            "Failures": [],
            "RemoteAET": "PEER",
            "Status": "Success",
            "Success": [{"SOPClassUID": SECONDARY_CAPTURE, "SOPInstanceUID": uid(5 + number, 1, 1, 1)}],
        }
        assert server.ask(Request(f"{path}/remove", "POST", "")).status == 200
        assert server.get(f"/instances/{sent['ID']}").status == 404
        assert other.get(f"/instances/{sent['ID']}").status == 200


def test_each_tells_the_other_what_it_does_not_have(pair: Servers) -> None:
    shown = []
    for server in both(pair):
        answer: Any = _post(
            server, "/modalities/other/storage-commitment", {"DicomInstances": [UNKNOWN, WRONG_CLASS, KNOWN[0]]}
        )
        shown.append(wait_for(lambda server=server, path=answer["Path"]: _reported(server, path), "the report"))  # type: ignore[misc]
    assert shown[0] == shown[1]
    assert [failure["FailureReason"] for failure in shown[0]["Failures"]] == [0x0112, 0x0119]


def _reported(server: Server, path: str) -> Any:
    told: Any = server.get_json(path)
    return None if told["Status"] == "Pending" else told


def _post(server: Server, path: str, body: object) -> object:
    answer = server.ask(Request(path, "POST", body if isinstance(body, bytes) else json.dumps(body)))
    assert answer.status == 200, answer
    return answer.json()


def _list(server: Server, path: str) -> list[str]:
    listed = server.get_json(path)
    assert isinstance(listed, list)
    return listed
