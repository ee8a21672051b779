"""A modality whose answers to a query never end: it is told to stop, the request fails, and nothing of it stays."""

import contextlib
import json
import select
from collections.abc import Iterator
from typing import Any

import pytest

from actors.services.remote.answer_limits import AnswerLimits
from actors.wire.dicom import pdu
from actors.wire.dicom.command import Command, Field, encode_response
from events.errors import StorageFull
from store.dicom.identifier import encode_dataset
from store.dicom.matching import Dataset
from tests.contract.remote_peer import Gone, Peer, PeerServer, peer
from tests.contract.rest_stage import RestStage, rest_stage
from tools.server.core import Core

PENDING, CANCELLED = 0xFF00, 0xFE00
ANSWER: Dataset = {0x00080052: "STUDY", 0x00100020: "P1", 0x0020000D: "1.2.3"}
LE = "1.2.840.10008.1.2.1"
LIMITS = AnswerLimits(query_bytes=400_000, folder_bytes=0)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, answer_limits=LIMITS) as made:
        yield made


class Endless:
    """Answers each C-FIND until it is cancelled."""

    def __init__(self) -> None:
        self.fields: list[int] = []  # of the requests that came

    def serve(self, there: Peer, _: PeerServer) -> None:
        there.accept()
        with contextlib.suppress(Gone, AssertionError, ConnectionError):  # an assertion: the release
            while True:
                asked = there.receive()
                self.fields.append(asked.field)
                if asked.field == Field.C_FIND:
                    self._answer(there, asked)
                elif asked.field == Field.C_ECHO:
                    there.respond(0, to=asked)

    def _answer(self, there: Peer, asked: Command) -> None:
        command = encode_response(asked, PENDING, has_dataset=True)
        pending = pdu.encode_p_data(there.context_id, command, is_command=True, is_last=True)
        pending += pdu.encode_p_data(
            there.context_id, encode_dataset(ANSWER, LE, "Ascii"), is_command=False, is_last=True
        )
        while not select.select([there.socket], [], [], 0)[0]:
            there.send(pending * 20)
        self.fields.append(there.receive().field)
        there.respond(CANCELLED, to=asked)


def ask(stage: RestStage, path: str, body: Any) -> tuple[int, Any, list[int]]:
    """POST; returns the status, the answer, and what the modality was asked."""
    endless = Endless()
    with peer(endless.serve) as server:
        modality = {"AET": "ENDLESS", "Host": "127.0.0.1", "Port": server.port, "Timeout": 15}
        assert stage.ask("/modalities/endless", "PUT", json.dumps(modality).encode()).status == 200
        answer = stage.ask(path, "POST", json.dumps(body).encode())
        stage.deps.finds.close()  # what is kept for the next question is not waited for
    return answer.status, json.loads(answer.body), endless.fields


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("query", {"Level": "Study", "Query": {"PatientID": "*"}}),
        ("find-patient", {"PatientID": "*"}),
        ("find-study", {"PatientID": "PAT"}),
        ("find", {"PatientID": "*"}),
        ("find-worklist", {"Query": {"PatientID": "*"}}),
    ],
)
def test_the_modality_is_told_to_stop_and_the_request_fails(stage: RestStage, path: str, body: Any) -> None:
    status, answer, asked = ask(stage, f"/modalities/endless/{path}", body)
    assert status == 500
    assert "MaximumQueryAnswersSizeMB" in answer["Details"]
    assert asked == [Field.C_FIND, Field.C_CANCEL]
    folder = stage.deps.queries._folder
    assert not folder.exists() or not list(folder.iterdir())


def test_an_echo_that_checks_queries_has_enough_of_one_answer(stage: RestStage) -> None:
    status, _, asked = ask(stage, "/modalities/endless/echo", {"CheckFind": True})
    assert (status, asked) == (200, [Field.C_ECHO, Field.C_FIND, Field.C_CANCEL])


def test_a_folder_that_is_full_of_others_answers_is_told_as_such(
    archive: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageFull("the answers of queries take more than MaximumQueryFolderSizeMB")

    monkeypatch.setattr("actors.services.remote.query_store.make_room", refuse)
    with rest_stage(archive, answer_limits=AnswerLimits(query_bytes=0, folder_bytes=400_000)) as stage:
        status, answer, asked = ask(stage, "/modalities/endless/query", {"Level": "Study", "Query": {}})
    assert (status, asked) == (507, [Field.C_FIND, Field.C_CANCEL])
    assert "MaximumQueryFolderSizeMB" in json.dumps(answer)
