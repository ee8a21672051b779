"""The operations of jobs, carried out by the engine as the server has it, with destinations of the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from actors.services.codecs.pool import CodecPool
from actors.services.jobs.operations.retrieve_plan import JOB_TYPE as RETRIEVE_TYPE
from actors.services.jobs.operations.retrieve_plan import MOVE, Retrieval, RetrievePlan
from actors.services.jobs.operations.retrieve_plan import to_plan as to_retrieve_plan
from actors.services.jobs.operations.store_plan import InstanceList, StorePlan, from_plan, to_plan
from api.dicom.get_scp import create_get_service
from events.identifiers import Level, ResourceId
from store.projections.job_rows import JobState
from store.records import Instance
from tests.contract.destination import EXPLICIT, destination
from tests.contract.operations_stage import SUCCESS, Ended, Engine, modality, working
from tests.contract.retrieve_stage import fill, serving, study
from tests.dicom_bytes import CT, MR, dataset, encode, uid
from tests.pynetdicom_server import serving_entity
from tools.server.core import Core

STUDY_UID = 0x0020000D


@pytest.fixture
def engine(archive: Core) -> Iterator[Engine]:
    with working(archive) as made:
        yield made


# --- store ---


def test_all_instances_are_sent_in_the_order_of_the_plan(engine: Engine) -> None:
    fill(engine.core, *study(instances=20))
    with destination() as there:
        assert engine.store(there) == SUCCESS
    assert there.instances == [uid(1, 1, 1, number) for number in range(20, 0, -1)]
    assert len(there.proposed) == 1


def test_the_plan_says_who_calls_whom_and_for_whom(engine: Engine) -> None:
    fill(engine.core, *study())
    with destination() as there:
        assert engine.store(there, originator_aet="MOVER", originator_id=7) == SUCCESS
    assert [sent.originator for sent in there.sent] == [("MOVER", 7)]


def test_a_refused_instance_ends_the_job(engine: Engine) -> None:
    fill(engine.core, *study(instances=3))
    with destination() as there:
        there.on_store = lambda _event, number: 0xA700 if number == 1 else 0
        ended = engine.store(there)
    assert len(there.sent) == 2
    assert ended == Ended(JobState.Failure, 9, 'C-STORE SCU to AET "THERE" has failed with DIMSE status 0xA700', 0, {})


def test_a_permissive_job_passes_over_a_refused_instance(engine: Engine) -> None:
    fill(engine.core, *study(instances=3))
    with destination() as there:
        there.on_store = lambda _event, number: 0xA700 if number == 1 else 0
        assert engine.store(there, permissive=True) == Ended(JobState.Success, 0, "", 1, {})
    assert len(there.sent) == 3


def test_a_deleted_instance_is_an_error_unless_it_is_passed_over(engine: Engine) -> None:
    fill(engine.core, *study(instances=3))
    instances = engine.instances()
    engine.core.client.delete(Level.INSTANCE, instances[1])
    with destination() as there:
        ended = engine.store(there, instances=instances)
        assert (ended.state, ended.code) == (JobState.Failure, 17)
        assert engine.store(there, instances=instances, permissive=True) == Ended(JobState.Success, 0, "", 1, {})
    assert len(there.sent) == 1 + 2


def test_a_class_that_the_destination_does_not_take(engine: Engine) -> None:
    fill(engine.core, encode(dataset()), encode(dataset(instance=2, SOPClassUID=CT)))
    with destination() as there:
        ended = engine.store(there)
    assert (ended.state, ended.code, len(there.sent)) == (JobState.Failure, 2015, 1)
    assert ended.details == (
        f"Cannot C-Store an instance of SOPClassUID {CT}, "
        "the destination has not accepted any TransferSyntax for this SOPClassUID."
    )


def test_a_job_without_instances_succeeds(engine: Engine) -> None:
    with destination() as there:
        assert engine.store(there, instances=[]) == SUCCESS
    assert not there.proposed


def test_a_plan_survives_being_stored() -> None:
    instances = [ResourceId(bytes([number]) * 20) for number in range(3)]
    plan = StorePlan(modality=modality(104), instances=instances, local_aet="OURS", timeout_s=3, parents=["a"])
    again = from_plan(to_plan(plan))
    assert list(again.instances) == instances
    assert again.instances[-1:] == instances[-1:]
    assert (again.modality, again.called_aet, again.parents) == (plan.modality, "THERE", ["a"])
    with pytest.raises(IndexError):
        InstanceList(b"")[0]


# --- move and get ---


def _retrieve_plan(port: int, method: str, *studies: str, permissive: bool = False) -> RetrievePlan:
    return RetrievePlan(
        modality=modality(port),
        method=method,
        local_aet="OURS",
        target_aet="TARGET" if method == MOVE else "",
        timeout_s=10,
        queries=[Retrieval(level=Level.STUDY, keys={STUDY_UID: name}) for name in studies],
        permissive=permissive,
    )


def _retrieve(engine: Engine, plan: RetrievePlan) -> Ended:
    return engine.run(RETRIEVE_TYPE[plan.method], to_retrieve_plan(plan), len(plan.queries))


@contextmanager
def _answering(*handlers: Any) -> Iterator[int]:
    """A modality that answers C-MOVE or C-GET as the test says; gives its port."""
    entity = ApplicationEntity("THERE")
    for suffix in ("1.2", "2.2", "1.3", "2.3"):
        entity.add_supported_context(f"1.2.840.10008.5.1.4.1.2.{suffix}")
    entity.add_supported_context(MR, [EXPLICIT], scu_role=True, scp_role=True)
    with serving_entity(entity, handlers, aborts=False) as port:
        yield port


def test_a_modality_is_told_to_move_each_query_on_one_association(engine: Engine) -> None:
    asked: list[tuple[str, str, str]] = []
    requested: list[Any] = []

    def move(event: Any) -> Iterator[Any]:
        identifier = event.identifier
        asked.append((event.move_destination, identifier.QueryRetrieveLevel, identifier.StudyInstanceUID))
        yield ("127.0.0.1", 1)
        yield 0

    with _answering((evt.EVT_C_MOVE, move), (evt.EVT_REQUESTED, requested.append)) as port:
        assert _retrieve(engine, _retrieve_plan(port, MOVE, "1.2", "1.3")) == SUCCESS
    assert asked == [("TARGET", "STUDY", "1.2"), ("TARGET", "STUDY", "1.3")]
    assert len(requested) == 1


def test_a_move_that_fails_ends_the_job_unless_it_is_passed_over(engine: Engine) -> None:
    def move(_event: Any) -> Iterator[Any]:
        yield (None, None)

    with _answering((evt.EVT_C_MOVE, move)) as port:
        ended = _retrieve(engine, _retrieve_plan(port, MOVE, "1.2"))
        assert ended == Ended(
            JobState.Failure, 9, 'C-MOVE SCU to AET "THERE" has failed with DIMSE status 0xA801', 0, {}
        )
        ended = _retrieve(engine, _retrieve_plan(port, MOVE, "1.2", permissive=True))
        assert ended == Ended(JobState.Success, 0, "", 1, {})


def test_what_a_get_brings_is_stored_once(engine: Engine) -> None:
    made = dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT)

    def get(_event: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, made

    with _answering((evt.EVT_C_GET, get)) as port:
        assert _retrieve(engine, _retrieve_plan(port, "C-GET", "1.2", "1.2")) == SUCCESS
    with engine.core.views.snapshot() as snapshot:
        (record,) = snapshot.list(Level.INSTANCE)
    assert isinstance(record, Instance)
    assert record.tags[0x00080018] == made.SOPInstanceUID
    assert (record.origin, record.remote_aet, record.called_aet) == (
        "DicomProtocol",
        "THERE",
        "OURS",
    )


def test_a_get_of_which_a_part_fails_is_a_failure(engine: Engine) -> None:
    made, unnamed = dataset(), Dataset()
    unnamed.SOPClassUID, unnamed.SOPInstanceUID = MR, "1.2.3"  # without the other UIDs that it must have
    for each in (made, unnamed):
        each.file_meta = FileMetaDataset()
        each.file_meta.TransferSyntaxUID = UID(EXPLICIT)

    def get(_event: Any) -> Iterator[Any]:
        yield 2
        yield 0xFF00, unnamed
        yield 0xFF00, made

    with _answering((evt.EVT_C_GET, get)) as port:
        ended = _retrieve(engine, _retrieve_plan(port, "C-GET", "1.2"))
    assert (ended.state, ended.code) == (JobState.Failure, 9)
    assert ended.details == 'C-GET SCU to AET "THERE" has failed with DIMSE status 0xB000'
    assert len(engine.instances()) == 1


def test_a_get_from_ourselves_finds_everything_stored(engine: Engine) -> None:
    fill(engine.core, *study(instances=5))
    with serving(create_get_service(engine.core.views, engine.core.blobs, CodecPool())) as port:
        assert _retrieve(engine, _retrieve_plan(port, "C-GET", uid(1, 1))) == SUCCESS
    assert len(engine.instances()) == 5
