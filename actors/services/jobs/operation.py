"""The interface of an operation: the work of one type of job, one step at a time.

An operation is made for one run, in a worker process, and knows nothing of states, retries or the log. Its steps are
repeated after a crash at most once more than they are recorded, so a step has to be harmless when repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from events.identifiers import Ref
from store.blobs.store import BlobStore
from store.views.views import Views

if TYPE_CHECKING:  # a worker without work imports none of it
    from actors.messages.index_client import IndexClient
    from actors.messages.jobs_client import JobsClient
    from actors.services.codecs.pool import CodecPool
    from actors.services.ingest.ingest import Ingest
    from actors.services.remote.dicomweb_client import DicomWebClient
    from actors.services.remote.dicomweb_servers import DicomWebServers
    from actors.services.remote.modalities import Modalities
    from actors.services.remote.peer_client import PeerClient
    from actors.services.remote.peers import Peers
    from actors.services.remote.stored_sender import StorePool
    from actors.services.remote.target import ScuSettings
    from actors.services.scripts.script_filters import ScriptFilters
    from actors.wire.interruption import Interruption


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run of a job, as a worker gets it."""

    job: Ref
    id: bytes  # 16, a UUID
    run: int
    type: str
    priority: int
    steps: int
    position: int  # the first step to be done
    plan: dict[str, Any]
    correlation: bytes = b""  # of what has submitted it; nested calls of scripts carry it


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """The tools of an operation. One value per run: the interruption belongs to the run, all else to the process."""

    views: Views
    blobs: BlobStore
    index: "IndexClient"
    ingest: "Ingest"
    jobs: "JobsClient"
    modalities: "Modalities"
    peers: "Peers"
    peer_client: "PeerClient"
    dicomweb_servers: "DicomWebServers"
    dicomweb_client: "DicomWebClient"
    scu: "ScuSettings"
    associations: "StorePool"
    codecs: "CodecPool"
    filters: "ScriptFilters"
    temporary_directory: Path
    stow_max_bytes: int = 0  # of the files in one request to a DICOMweb server; 0: as many as one may have
    modification_threads: int = 8
    archive_threads: int = 2
    media_archive_size: int = 1  # outputs of archive jobs that are kept
    interruption: "Interruption"  # set when this run has to end at once


class Operation(Protocol):
    """The work of one run; a context manager, which closes what its steps opened."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        """Do a step (from 0); return 0, or Orthanc's number of an error that the job is to pass over.

        `settle` waits until the step before is recorded, or raises RunOver. An operation calls it as late as it can,
        but before this step has an effect outside: then a crash repeats one step at most, and recording costs no time
        of its own. Raises RemoteFailed and other SinogramErrors, which end the run.
        """
        ...

    def result(self) -> dict[str, Any]:
        """Return what the job's content is to hold once all steps are done; plain values."""
        ...


class PlainOperation:
    """What most operations have alike: they tell nothing at their end, and close by `close` what their steps opened."""

    def result(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """Close what the steps opened: nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RunOver(Exception):  # no error: somebody has paused, cancelled or taken over the job
    """The run has ended in the meantime; the work of its worker is no longer wanted."""


Factory = Callable[[Task, Workbench], Operation]
