"""Queries to one modality share an association for a moment, and nobody notices when the modality has closed it."""

from collections.abc import Iterator

import pytest

from actors.services.remote.asking import FindPool, ask, create_find_pool
from actors.services.remote.target import Target
from actors.wire.errors import RemoteFailed
from actors.wire.interruption import Interruption
from store.dicom.matching import Dataset
from store.dicom.uids import STUDY_ROOT_FIND, WORKLIST_FIND
from tests.recording_scp import RecordingScp, recording_scp

PATIENT_ID = 0x00100020
ANSWER: Dataset = {PATIENT_ID: "P"}


@pytest.fixture
def scp() -> Iterator[RecordingScp]:
    with recording_scp([ANSWER, ANSWER]) as running:
        yield running


@pytest.fixture
def pool() -> Iterator[FindPool]:
    made = create_find_pool(60)
    yield made
    made.close()


def question(scp: RecordingScp, pool: FindPool, model: str = STUDY_ROOT_FIND, calling: str = "OURS") -> int:
    target = Target(host="127.0.0.1", port=scp.port, called_aet="ANY", calling_aet=calling, timeout_s=20)
    return len(list(ask(target, model, {PATIENT_ID: ""}, "Latin1", Interruption(), pool)))


def test_questions_one_after_the_other_share_an_association(scp: RecordingScp, pool: FindPool) -> None:
    assert [question(scp, pool) for _ in range(3)] == [2, 2, 2]
    assert len(set(map(id, scp.associations))) == 1


def test_nothing_is_shared_where_nothing_is_to_be_kept(scp: RecordingScp) -> None:
    pool = create_find_pool(0)
    assert [question(scp, pool) for _ in range(2)] == [2, 2]
    assert len(set(map(id, scp.associations))) == 2
    pool.close()


def test_another_title_or_model_is_another_association(scp: RecordingScp, pool: FindPool) -> None:
    assert [question(scp, pool), question(scp, pool, calling="OTHER"), question(scp, pool, WORKLIST_FIND)] == [2, 2, 2]
    assert len(set(map(id, scp.associations))) == 3


def test_a_modality_that_has_hung_up_is_asked_anew(scp: RecordingScp, pool: FindPool) -> None:
    scp.hangs_up = True
    assert [question(scp, pool) for _ in range(3)] == [2, 2, 2]
    assert len(set(map(id, scp.associations))) == 3


def test_an_answer_that_nobody_waits_for_ends_the_association(scp: RecordingScp, pool: FindPool) -> None:
    target = Target(host="127.0.0.1", port=scp.port, called_aet="ANY", calling_aet="OURS", timeout_s=20)
    answers = ask(target, STUDY_ROOT_FIND, {PATIENT_ID: ""}, "Latin1", Interruption(), pool)
    assert next(answers)
    answers.close()
    assert question(scp, pool) == 2
    assert len(set(map(id, scp.associations))) == 2


def test_a_refusal_on_a_kept_association_is_told_and_not_asked_again(scp: RecordingScp, pool: FindPool) -> None:
    assert question(scp, pool) == 2
    scp.status = 0xC000
    with pytest.raises(RemoteFailed):
        question(scp, pool)
    assert len(scp.asked) == 2
