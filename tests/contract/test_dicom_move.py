"""C-MOVE over real sockets with a destination that does what the test says: counts, originator, cancel, jobs."""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from actors.services.remote.modality import Modality
from actors.services.remote.store_scu import Originator
from actors.wire.dicom.command import Element, Field, encode_command
from actors.wire.dicom.pdu import encode_p_data
from api.dicom.move_scp import create_move_service
from api.dicom.service import Service
from events.errors import PeerFailed, StorageFull
from events.identifiers import ResourceId
from store.dicom.identifier import encode_dataset
from store.dicom.uids import PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE
from tests.contract.dicom_scu import ABORT, IMPLICIT_LE, Scu
from tests.contract.retrieve_stage import SETTINGS, Keys, Status, Told, fill, move, serving, study
from tests.dicom_bytes import uid
from tools.server.core import Core

DESTINATION = Modality(name="dest", aet="DEST", host="127.0.0.1", port=104)
WAIT_S = 40.0

PATIENT: Keys = {"QueryRetrieveLevel": "PATIENT", "PatientID": "PAT1"}
STUDY: Keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)}
SERIES: Keys = {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": uid(1, 1, 2)}
IMAGES: Keys = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": [uid(1, 1, 1, 2), uid(1, 2, 1, 1)]}
STUDY_1 = [uid(1, 1, series, instance) for series in (1, 2) for instance in (1, 2, 3)]


@dataclass(slots=True)
class Destination:
    """A sender that sends nothing; by `status` it answers, raises, or waits to be interrupted."""

    archive: Core
    status: Status = 0
    hopeless_after: int = 1 << 30
    has_begun: bool = True  # what hangs, hangs behind its last fragment
    instances: list[ResourceId] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    opened: list[tuple[Modality, Originator, int]] = field(default_factory=list)
    is_busy: threading.Event = field(default_factory=threading.Event)
    interrupted: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)

    def open(self, destination: Modality, originator: Originator, instances: Sequence[ResourceId]) -> "Destination":
        self.opened.append((destination, originator, len(instances)))
        self.instances = list(instances)
        return self

    def send(self, position: int) -> int:
        self.sent.append(self.name_of(self.instances[position]))
        self.is_busy.set()
        return self.status(len(self.sent)) if callable(self.status) else self.status

    def name_of(self, instance: ResourceId) -> str:
        with self.archive.views.snapshot() as snapshot:
            record = snapshot.get_instance(instance)
        assert record is not None
        return record.tags[0x00080018]

    @property
    def is_hopeless(self) -> bool:
        return len(self.sent) >= self.hopeless_after

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed.set()

    def hang(self, _place: int) -> int:
        """Wait as for an answer that never comes."""
        assert self.interrupted.wait(WAIT_S)
        raise PeerFailed("interrupted")


@pytest.fixture
def destination(archive: Core) -> Destination:
    """Of an archive of one patient with two studies, of two and of one series of three instances."""
    fill(archive, *study(1, 1, series=2, instances=3), *study(1, 2, instances=3))
    return Destination(archive)


def service_of(destination: Destination) -> Service:
    jobs = Jobs(AssertionError("nobody asked for a job"))
    return create_move_service(destination.archive.views, {"DEST": DESTINATION}.get, destination.open, jobs.submit)


def ask(destination: Destination, keys: Keys, *, to: str = "DEST", cancel_after: int = 0) -> Told:
    with serving(service_of(destination)) as port:
        told = move(
            port, PATIENT_ROOT_MOVE if keys is PATIENT else STUDY_ROOT_MOVE, to, keys, cancel_after=cancel_after
        )
    assert destination.closed.is_set() or not destination.opened
    return told


@pytest.mark.parametrize(("keys", "count"), [(PATIENT, 9), (STUDY, 6), (SERIES, 3), (IMAGES, 2)])
def test_instances_of_any_level_go_to_the_destination(destination: Destination, keys: Keys, count: int) -> None:
    told = ask(destination, keys)
    assert told.statuses == [0xFF00] * (count - 1) + [0x0000]
    assert told.counts == [*((count - n, n, 0, 0) for n in range(1, count)), (None, count, 0, 0)]
    assert len(destination.sent) == count
    assert destination.opened == [(DESTINATION, Originator("ASKING", 7), count)]


def test_instances_go_series_by_series_in_order(destination: Destination) -> None:
    ask(destination, STUDY)
    assert destination.sent == STUDY_1


def test_an_unknown_destination_is_told_as_such(destination: Destination) -> None:
    assert ask(destination, STUDY, to="NOBODY").statuses == [0xA801]
    assert destination.opened == []


def test_what_is_not_here_needs_no_association(destination: Destination) -> None:
    told = ask(destination, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"})
    assert (told.statuses, told.counts) == ([0x0000], [(None, 0, 0, 0)])
    assert destination.opened == []


def test_an_identifier_without_its_key_does_not_match(destination: Destination) -> None:
    assert ask(destination, {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": uid(1, 1)}).statuses == [0xA900]


@pytest.mark.parametrize(
    ("status", "expected", "counts"),
    [(0xA700, 0xA702, (0, 6, 0)), (0xB007, 0xB000, (0, 0, 6)), (0x0111, 0xA702, (0, 6, 0))],
)
def test_what_the_destination_answers_is_counted(
    destination: Destination, status: int, expected: int, counts: tuple[int, int, int]
) -> None:
    destination.status = status
    told = ask(destination, STUDY)
    assert (told.status, told.counts[-1]) == (expected, (None, *counts))
    assert told.failed == (STUDY_1 if counts[1] else [])
    assert told.sums() == {6}


def test_one_failure_does_not_keep_the_rest_back(destination: Destination) -> None:
    def second_fails(place: int) -> int:
        if place == 2:
            raise PeerFailed("no")
        return 0

    destination.status = second_fails
    told = ask(destination, STUDY)
    assert (told.status, told.counts[-1], told.failed) == (0xB000, (None, 5, 1, 0), [STUDY_1[1]])
    assert destination.sent == STUDY_1


def test_a_defect_costs_one_instance(destination: Destination) -> None:
    destination.status = {1: 0, 2: 0, 4: 0, 5: 0, 6: 0}.__getitem__
    told = ask(destination, STUDY)
    assert (told.status, told.counts[-1], told.failed) == (0xB000, (None, 5, 1, 0), [STUDY_1[2]])


def test_a_destination_that_is_gone_is_not_tried_for_each_instance(destination: Destination) -> None:
    destination.hopeless_after = 2
    told = ask(destination, STUDY)
    assert (told.status, told.counts[-1], told.failed) == (0xB000, (None, 2, 4, 0), STUDY_1[2:])
    assert destination.sent == STUDY_1[:2]
    assert told.sums() == {6}


@pytest.mark.parametrize(("has_begun", "counts"), [(True, (6, 2, 1, 0)), (False, (7, 2, 0, 0))])
def test_a_cancel_does_not_wait_for_a_destination_that_hangs(
    destination: Destination, *, has_begun: bool, counts: tuple[int, int, int, int]
) -> None:
    """What the destination may have got does not remain; it is named, for nobody knows what became of it."""
    destination.has_begun = has_begun
    destination.status = lambda place: 0 if place < 3 else destination.hang(place)
    told = ask(destination, PATIENT, cancel_after=2)
    assert (told.status, told.counts[-1]) == (0xFE00, counts)
    assert told.failed == (destination.sent[2:] if has_begun else [])
    assert len(destination.sent) == 3


def test_the_association_goes_on_behind_it(destination: Destination) -> None:
    with serving(service_of(destination)) as port:
        assert [move(port, STUDY_ROOT_MOVE, "DEST", IMAGES).status for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("how", ["abort", "close"])
def test_sending_ends_with_the_association_that_asked(destination: Destination, how: str) -> None:
    destination.status = destination.hang
    with serving(service_of(destination)) as port, Scu(port) as scu:
        scu.associate([(1, STUDY_ROOT_MOVE, [IMPLICIT_LE])])
        scu.send(move_request())
        assert destination.is_busy.wait(WAIT_S)
        if how == "abort":
            scu.send(ABORT)
        else:
            scu.socket.shutdown(socket.SHUT_RDWR)
        assert destination.closed.wait(WAIT_S)
    assert destination.interrupted.is_set()


def test_a_server_that_stops_does_not_wait_for_the_destination(destination: Destination) -> None:
    destination.status = destination.hang
    with serving(service_of(destination), grace_s=0.0) as port:
        scu = Scu(port)
        scu.associate([(1, STUDY_ROOT_MOVE, [IMPLICIT_LE])])
        scu.send(move_request())
        assert destination.is_busy.wait(WAIT_S)
    assert destination.closed.is_set()
    scu.socket.close()


@dataclass(slots=True)
class Jobs:
    """Takes jobs, or refuses them."""

    error: Exception | None = None
    submitted: list[tuple[Modality, Originator, list[ResourceId]]] = field(default_factory=list)

    def submit(self, destination: Modality, originator: Originator, instances: Sequence[ResourceId]) -> None:
        if self.error is not None:
            raise self.error
        self.submitted.append((destination, originator, list(instances)))


def ask_for_job(destination: Destination, jobs: Jobs, keys: Keys, to: str = "DEST") -> Told:
    service = create_move_service(destination.archive.views, {"DEST": DESTINATION}.get, destination.open, jobs.submit)
    with serving(service, settings=replace(SETTINGS, synchronous_move=False)) as port:
        told = move(port, STUDY_ROOT_MOVE, to, keys)
    assert destination.opened == []
    return told


def test_a_job_is_told_of_as_done(destination: Destination) -> None:
    jobs = Jobs()
    told = ask_for_job(destination, jobs, STUDY)
    assert (told.statuses, told.counts) == ([0x0000], [(None, 6, 0, 0)])
    ((modality, originator, instances),) = jobs.submitted
    assert (modality, originator) == (DESTINATION, Originator("ASKING", 7))
    assert [destination.name_of(instance) for instance in instances] == STUDY_1


def test_there_is_no_job_for_nothing_or_nobody(destination: Destination) -> None:
    jobs = Jobs()
    assert ask_for_job(destination, jobs, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"}).status == 0
    assert ask_for_job(destination, jobs, STUDY, "NOBODY").status == 0xA801
    assert jobs.submitted == []


def test_a_job_that_cannot_be_submitted_is_no_success(destination: Destination) -> None:
    assert ask_for_job(destination, Jobs(StorageFull("full")), STUDY).status == 0xA702


def move_request() -> bytes:
    """A C-MOVE of a study as it goes over the wire, in implicit little endian."""
    command = encode_command(
        {
            Element.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_MOVE,
            Element.COMMAND_FIELD: Field.C_MOVE,
            Element.MESSAGE_ID: 7,
            Element.PRIORITY: 0,
            Element.DATA_SET_TYPE: 1,
            Element.MOVE_DESTINATION: "DEST",
        }
    )
    dataset = encode_dataset({0x00080052: "STUDY", 0x0020000D: uid(1, 1)}, IMPLICIT_LE, "Ascii")
    return encode_p_data(1, command, is_command=True, is_last=True) + encode_p_data(
        1, dataset, is_command=False, is_last=True
    )
