"""The operations of jobs, carried out by the engine as the server has it, with destinations of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.transport import ThreadedAssociationServer

from actors.ingest import Ingest
from actors.ingest_settings import IngestSettings
from actors.jobs.channel import open_local_channel
from actors.jobs.client import JobsClient
from actors.jobs.operation import Workbench
from actors.jobs.operations import OPERATIONS
from actors.jobs.operations.retrieve_plan import JOB_TYPE as RETRIEVE_TYPE
from actors.jobs.operations.retrieve_plan import MOVE, Retrieval, RetrievePlan
from actors.jobs.operations.retrieve_plan import to_plan as to_retrieve_plan
from actors.jobs.operations.store_plan import JOB_TYPE, InstanceList, StorePlan, from_plan, to_plan
from actors.jobs.runner import Runner
from actors.remote.association_pool import AssociationPool
from actors.remote.interruption import Interruption
from actors.remote.modalities import Modalities
from actors.remote.modality import Modality
from actors.remote.target import ScuSettings
from api.dicom.get_scp import create_get_service
from events.identifiers import Level, Ref, ResourceId
from store.projections.job_rows import JobState
from store.records import Instance
from store.views.jobs import get_error_details, get_job, get_result
from tests.contract.destination import EXPLICIT, Destination, destination
from tests.contract.retrieve_stage import fill, serving, study
from tests.dicom_bytes import CT, MR, dataset, encode, uid
from tools.core import Core

PATIENCE_S = 20.0
STUDY_UID = 0x0020000D


@dataclass
class Engine:
    core: Core
    jobs: JobsClient

    def run(self, kind: str, plan: dict[str, Any], steps: int) -> "Ended":
        """Have a job done, and wait for its end."""
        ref = self.jobs.submit(kind, plan, steps=steps, attempts=1)[0]
        self.jobs.wait(ref)
        return self.ended(ref)

    def ended(self, ref: Ref) -> "Ended":
        with self.core.views.snapshot() as snapshot:
            job = get_job(snapshot, ref)
            assert job is not None
            progress = job.progress
            return Ended(
                progress.state,
                progress.code,
                get_error_details(snapshot, job),
                progress.failed,
                get_result(snapshot, job),
            )

    def instances(self) -> list[ResourceId]:
        with self.core.views.snapshot() as snapshot:
            return list(snapshot.list_ids(Level.INSTANCE))

    def store(self, there: Destination, **values: Any) -> "Ended":
        given: dict[str, Any] = {"instances": self.instances(), "local_aet": "OURS", "timeout_s": 10, **values}
        plan = StorePlan(modality=_modality(there.port), **given)
        return self.run(JOB_TYPE, to_plan(plan), len(plan.instances))


@dataclass(frozen=True)
class Ended:
    state: JobState
    code: int
    details: str
    failed: int
    result: Any


SUCCESS = Ended(JobState.Success, 0, "", 0, {})


def _modality(port: int) -> Modality:
    return Modality(name="there", aet="THERE", host="127.0.0.1", port=port)


@pytest.fixture
def engine(archive: Core) -> Iterator[Engine]:
    """An engine with one slot, which does what the server's workers do."""
    ingest = Ingest(archive.client, archive.views, archive.blobs, "worker-1", lambda: IngestSettings(sync=False))
    pool = AssociationPool(0)
    channel = open_local_channel(archive.jobs.on_request)
    jobs = JobsClient(archive.index.ask, channel.request)

    def workbench(interruption: Interruption) -> Workbench:
        return Workbench(
            views=archive.views,
            blobs=archive.blobs,
            index=archive.client,
            ingest=ingest,
            jobs=jobs,
            modalities=Modalities((), archive.views, archive.client),
            scu=ScuSettings(aet="OURS"),
            associations=pool,
            interruption=interruption,
        )

    runner = Runner("worker-1/1", channel, archive.views, lambda: dict(OPERATIONS), workbench, slots=1)
    runner.start()
    yield Engine(archive, jobs)
    runner.stop(PATIENCE_S)
    channel.close()
    runner.join()
    pool.close()
    ingest.close()


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
    plan = StorePlan(modality=_modality(104), instances=instances, local_aet="OURS", timeout_s=3, parents=["a"])
    again = from_plan(to_plan(plan))
    assert list(again.instances) == instances
    assert again.instances[-1:] == instances[-1:]
    assert (again.modality, again.called_aet, again.parents) == (plan.modality, "THERE", ["a"])
    with pytest.raises(IndexError):
        InstanceList(b"")[0]


# --- move and get ---


def _retrieve_plan(port: int, method: str, *studies: str, permissive: bool = False) -> RetrievePlan:
    return RetrievePlan(
        modality=_modality(port),
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
    server: Any = entity.make_server(
        ("127.0.0.1", 0), evt_handlers=list(handlers), server_class=ThreadedAssociationServer
    )
    entity._servers.append(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for association in entity.active_associations:
            association.join()


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
    assert (record.origin.kind, record.origin.remote_aet, record.origin.called_aet) == (
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
    with serving(create_get_service(engine.core.views, engine.core.blobs)) as port:
        assert _retrieve(engine, _retrieve_plan(port, "C-GET", uid(1, 1))) == SUCCESS
    assert len(engine.instances()) == 5
