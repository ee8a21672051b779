"""C-MOVE to a destination that is really there, or is not, hangs, refuses, or goes away in the middle."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from actors.messages.jobs_client import JobsClient
from actors.services.codecs.pool import CodecPool
from actors.services.jobs.operations.store_plan import JOB_TYPE, from_plan
from actors.services.remote.modality import Modality
from actors.services.remote.outgoing import admission
from actors.services.remote.target import ScuSettings
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from api.dicom.move_destination import MoveDestinations
from api.dicom.move_scp import create_move_service
from store.dicom.part10 import find_dataset
from store.dicom.uids import STUDY_ROOT_MOVE
from tests.contract.destination import destination
from tests.contract.retrieve_stage import SETTINGS, Told, fill, move, serving, study
from tests.dicom_bytes import CT, MR, dataset, encode, uid
from tests.scripts_stage import run_scripts
from tools.server.core import Core

WAIT_S = 40.0
STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)}
NAMES = [uid(1, 1, 1, instance) for instance in range(1, 7)]


@pytest.fixture
def files(archive: Core) -> list[bytes]:
    """A study of six instances in the archive, in the order of their numbers."""
    made = study(instances=6)
    fill(archive, *made)
    return made[::-1]


@dataclass(slots=True)
class Jobs:
    """Takes down what is submitted."""

    submitted: list[tuple[Any, ...]] = field(default_factory=list)

    def ask(self, command: Any) -> int:
        self.submitted.append((command.type, command.steps, command.attempts, from_plan(command.plan)))
        return 1


@contextmanager
def mover(
    archive: Core, port: int, *, timeout_s: int = 10, jobs: Jobs | None = None, filters: ScriptFilters = NO_FILTERS
) -> Iterator[int]:
    """A server whose modality THERE is at `port`; gives its own port."""
    there = Modality(name="there", aet="THERE", host="127.0.0.1", port=port, local_aet="LOCAL")
    client = JobsClient((jobs or Jobs()).ask, lambda _: None)
    scu = ScuSettings(aet="OURS", timeout_s=timeout_s)
    destinations = MoveDestinations(
        archive.views,
        archive.blobs,
        scu,
        client,
        CodecPool(),
        lambda target: admission(filters, target, lambda: "Latin1"),
    )
    service = create_move_service(
        archive.views, {"THERE": there}.get, destinations.open_sender, destinations.submit_job
    )
    with serving(service, settings=replace(SETTINGS, synchronous_move=jobs is None)) as ours:
        yield ours


def ask(archive: Core, port: int, timeout_s: int = 10) -> Told:
    with mover(archive, port, timeout_s=timeout_s) as ours:
        return move(ours, STUDY_ROOT_MOVE, "THERE", STUDY)


def test_the_destination_is_told_who_has_asked(archive: Core, files: list[bytes]) -> None:
    with destination() as there:
        told = ask(archive, there.port)
        assert there.released.acquire(blocking=False)  # before the last response
    assert (told.status, told.sums()) == (0, {6})
    assert there.instances == NAMES
    assert [sent.dataset for sent in there.sent] == [data[find_dataset(data) :] for data in files]
    assert {(sent.association, sent.originator) for sent in there.sent} == {(1, ("ASKING", 7))}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("status", "expected", "counts"),
    [
        (0xB007, 0xB000, (0, 0, 6)),
        (0x0111, 0x0000, (6, 0, 0)),  # it has them already
        (0xA700, 0xA702, (0, 6, 0)),
    ],
)
def test_its_answers_are_counted(archive: Core, status: int, expected: int, counts: tuple[int, int, int]) -> None:
    with destination() as there:
        there.on_store = lambda _event, _number: status
        told = ask(archive, there.port)
    assert (told.status, told.counts[-1]) == (expected, (None, *counts))


def test_what_it_does_not_take_fails_alone(archive: Core) -> None:
    fill(archive, *(encode(dataset(1, 1, 1, n, SOPClassUID=CT if n % 2 else MR)) for n in range(1, 7)))
    with destination() as there:
        told = ask(archive, there.port)
    assert (told.status, told.counts[-1], told.failed) == (0xB000, (None, 3, 3, 0), NAMES[::2])
    assert there.instances == NAMES[1::2]


@pytest.mark.usefixtures("files")
def test_a_script_keeps_instances_back(archive: Core) -> None:
    source = """
    function OutgoingCStoreInstanceFilter(dicom, to)
      if dicom.InstanceNumber == '2' then error('boom') end
      return dicom.InstanceNumber ~= '1' and to.RemoteAet == 'THERE'
    end"""
    with (
        run_scripts(source) as scripts,
        destination() as there,
        mover(archive, there.port, filters=scripts.filters) as ours,
    ):
        told = move(ours, STUDY_ROOT_MOVE, "THERE", STUDY)
    assert (told.counts[-1], told.failed) == ((None, 5, 1, 0), [NAMES[1]])  # of what is kept back nobody is told
    assert there.instances == NAMES[2:]


@pytest.mark.usefixtures("files")
def test_one_that_aborts_is_asked_again_for_the_rest(archive: Core) -> None:
    def abort_the_third(event: Any, number: int) -> int:
        if number == 2:
            event.assoc.abort()
        return 0

    with destination() as there:
        there.on_store = abort_the_third
        told = ask(archive, there.port)
    assert (told.status, told.counts[-1], told.failed) == (0xB000, (None, 5, 1, 0), [NAMES[2]])
    assert [sent.association for sent in there.sent] == [1, 1, 1, 2, 2, 2]


@pytest.mark.usefixtures("files")
def test_one_that_is_not_there_fails_everything(archive: Core) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    told = ask(archive, port)
    assert (told.status, told.counts[-1], told.failed) == (0xA702, (None, 0, 6, 0), NAMES)
    assert told.sums() == {6}


@pytest.mark.usefixtures("files")
def test_one_that_accepts_and_never_answers_fails_everything(archive: Core) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = ask(archive, silent.getsockname()[1], timeout_s=1)
    assert (told.status, told.counts[-1]) == (0xA702, (None, 0, 6, 0))


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("when", ["before the association", "in a C-STORE"])
def test_a_cancel_does_not_wait_for_it(archive: Core, when: str) -> None:
    hangs, may_go_on = threading.Event(), threading.Event()

    def hang(_event: Any, number: int) -> int:
        if number >= 2:
            hangs.set()
            may_go_on.wait(WAIT_S)
        return 0

    if when == "in a C-STORE":
        with destination() as there, mover(archive, there.port, timeout_s=0) as ours:
            there.on_store = hang
            told = move(ours, STUDY_ROOT_MOVE, "THERE", STUDY, cancel_after=2, cancel_when=hangs)
            may_go_on.set()
        assert (told.status, told.counts[-1]) == (0xFE00, (3, 2, 1, 0))
        assert len(told.failed) == 1  # it was sent, and nobody waits for what became of it
    else:
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            mover(archive, silent.getsockname()[1], timeout_s=0) as ours,
        ):
            told = move(ours, STUDY_ROOT_MOVE, "THERE", STUDY, cancel_after=-1)
        assert (told.status, told.counts[-1]) == (0xFE00, (6, 0, 0, 0))


def test_a_job_has_all_it_needs(archive: Core, files: list[bytes]) -> None:
    jobs = Jobs()
    with mover(archive, 104, jobs=jobs, timeout_s=4) as ours:
        told = move(ours, STUDY_ROOT_MOVE, "THERE", STUDY)
    assert (told.statuses, told.counts) == ([0], [(None, 6, 0, 0)])
    ((kind, steps, attempts, plan),) = jobs.submitted
    assert (kind, steps, len(plan.instances)) == (JOB_TYPE, len(files), 6)
    assert attempts > 1
    assert (plan.modality.name, plan.local_aet, plan.called_aet, plan.timeout_s) == ("there", "LOCAL", "THERE", 4)
    assert (plan.originator_aet, plan.originator_id, plan.description) == ("ASKING", 7, "C-MOVE")
    assert not plan.permissive
