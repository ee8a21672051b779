"""The job engine with one slot that does what the server's workers do, and a modality for it to talk to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from actors.messages.jobs_client import JobsClient
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from actors.services.jobs.operation import Factory, Workbench
from actors.services.jobs.operations import find_operation
from actors.services.jobs.operations.store_plan import JOB_TYPE, StorePlan, to_plan
from actors.services.jobs.runner import Runner
from actors.services.remote.dicomweb_client import DicomWebClient
from actors.services.remote.dicomweb_servers import DicomWebServers
from actors.services.remote.modalities import Modalities
from actors.services.remote.modality import Modality
from actors.services.remote.peer_client import PeerClient
from actors.services.remote.peers import Peers
from actors.services.remote.stored_sender import StorePool
from actors.services.remote.target import ScuSettings
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from actors.wire.bridge.channel import open_local_channel
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.interruption import Interruption
from events.identifiers import Level, Ref, ResourceId
from store.projections.job_rows import JobState
from store.views.jobs import get_error_details, get_job, get_result
from tests.contract.destination import Destination
from tools.server.core import Core

PATIENCE_S = 40.0


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
        plan = StorePlan(modality=modality(there.port), **given)
        return self.run(JOB_TYPE, to_plan(plan), len(plan.instances))


@dataclass(frozen=True)
class Ended:
    state: JobState
    code: int
    details: str
    failed: int
    result: Any


_INGEST = IngestSettings(sync=False)
SUCCESS = Ended(JobState.Success, 0, "", 0, {})


def modality(port: int, name: str = "there") -> Modality:
    return Modality(name=name, aet="THERE", host="127.0.0.1", port=port)


@contextmanager
def working(
    archive: Core,
    modalities: Sequence[Modality] = (),
    filters: ScriptFilters = NO_FILTERS,
    configured: Sequence[Peer] = (),
    servers: Sequence[Peer] = (),
    stow_max_bytes: int = 0,
    settings: IngestSettings = _INGEST,
    find: Callable[[str], Factory | None] = find_operation,
) -> Iterator[Engine]:
    """An engine with one slot, which does what the server's workers do."""
    ingest = Ingest(archive.client, archive.views, archive.blobs, "worker-1", lambda: settings)
    pool = StorePool(0)
    codecs = CodecPool()
    peer_client = PeerClient(HttpClientSettings())
    dicomweb_client = DicomWebClient(HttpClientSettings())
    channel = open_local_channel(archive.jobs.on_request)
    jobs = JobsClient(archive.index.ask, channel.request)

    def workbench(interruption: Interruption) -> Workbench:
        return Workbench(
            views=archive.views,
            blobs=archive.blobs,
            index=archive.client,
            ingest=ingest,
            jobs=jobs,
            modalities=Modalities(modalities, archive.views, archive.client),
            peers=Peers(configured, archive.views, archive.client),
            peer_client=peer_client,
            dicomweb_servers=DicomWebServers(servers, archive.views, archive.client),
            dicomweb_client=dicomweb_client,
            stow_max_bytes=stow_max_bytes,
            scu=ScuSettings(aet="OURS"),
            associations=pool,
            codecs=codecs,
            filters=filters,
            temporary_directory=Path(gettempdir()),
            interruption=interruption,
        )

    runner = Runner("worker-1/1", channel, archive.views, find, workbench, slots=1)
    runner.start()
    try:
        yield Engine(archive, jobs)
    finally:
        runner.stop(PATIENCE_S)
        channel.close()
        runner.join()
        pool.close()
        codecs.close()
        peer_client.close()
        dicomweb_client.close()
        ingest.close()
