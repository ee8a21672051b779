"""The dependencies of REST resources: the read side, the commands, the settings. Nothing here is a singleton."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from actors.messages.index_client import IndexClient
from actors.messages.jobs_client import JobsClient
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.incoming_attachment import IncomingAttachment
from actors.services.remote.asking import FindPool
from actors.services.remote.dicomweb_servers import DicomWebServers
from actors.services.remote.modalities import Modalities
from actors.services.remote.peers import Peers
from actors.services.remote.query_store import QueryStore
from actors.services.remote.target import ScuSettings
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.replays import Replay, ReplayWanted
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from actors.wire.interruption import Interruption
from api.rest.event_hub import EventHub
from api.rest.settings import RestSettings
from events.identifiers import ResourceId
from store.blobs.store import BlobStore
from store.records import Origin
from store.views.views import Views

if TYPE_CHECKING:  # see Deps.peer_client
    from actors.services.remote.dicomweb_client import DicomWebClient
    from actors.services.remote.peer_client import PeerClient


class HierarchyIds(Protocol):
    @property
    def patient(self) -> ResourceId: ...
    @property
    def study(self) -> ResourceId: ...
    @property
    def series(self) -> ResourceId: ...
    @property
    def instance(self) -> ResourceId: ...


class StoreResult(Protocol):
    @property
    def status(self) -> str: ...  # "Success", "AlreadyStored" or "FilteredOut"
    @property
    def ids(self) -> HierarchyIds: ...


class Upload(Protocol):
    """One DICOM file on its way in; the code that opens it stores or discards it."""

    def write(self, data: bytes, /) -> object: ...
    def store(self) -> StoreResult: ...
    def discard(self) -> object: ...


class InstanceIngest(Protocol):
    def open(self, origin: Origin, correlation: bytes, /) -> Upload: ...


class Identity(Protocol):
    """The UIDs of a DICOM file, as `store.dicom.summary` reads them."""

    @property
    def study_uid(self) -> str: ...
    @property
    def series_uid(self) -> str: ...
    @property
    def sop_uid(self) -> str: ...
    @property
    def sop_class(self) -> str: ...


class IdentifiedResult(StoreResult, Protocol):
    @property
    def summary(self) -> Identity: ...
    @property
    def dimse_status(self) -> int: ...


class IdentifiedUpload(Upload, Protocol):
    """An upload that tells which instance it is."""

    def look(self) -> Identity: ...
    def store(self) -> IdentifiedResult: ...


class Ingest(InstanceIngest, Protocol):
    def open(self, origin: Origin, correlation: bytes, /) -> IdentifiedUpload: ...
    def attach(self, *, compress: bool | None = None) -> IncomingAttachment: ...


def local_now() -> datetime:
    """The wall clock, with the offset of the server's time zone."""
    return datetime.now().astimezone()


Routes = dict[str, Any]  # URI template -> falcon resource, which is any object with on_get, on_post …


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Everything `api.app.create_app` needs; the composition root and the tests build it."""

    views: Views
    blobs: BlobStore
    ingest: Ingest
    index: IndexClient
    jobs: JobsClient
    modalities: Modalities
    peers: Peers
    peer_client: Callable[[], "PeerClient"]  # made when a peer is asked first: its library takes a fifth of a second
    dicomweb_servers: DicomWebServers
    dicomweb_client: Callable[[], "DicomWebClient"]  # likewise
    queries: QueryStore
    scu: ScuSettings
    finds: FindPool
    codecs: CodecPool
    settings: RestSettings
    feed: EventHub
    conformance: Callable[[], str]  # the DICOM conformance statement of the moment
    start_replay: Callable[
        [ReplayWanted], Replay
    ]  # raises Busy; the thread that calls must live as long as the process
    shutdown: Callable[[], object]  # returns at once; the server stops afterwards
    reset: Callable[[], object]  # likewise, and starts again
    scripts: ScriptsClient | None = None  # of the main interpreter; None: there are no scripts
    received: ScriptsClient | None = None  # of that of the received-instance filters
    filters: ScriptFilters = NO_FILTERS  # of requests and of questions to modalities; ingest has its own
    stopping: Interruption = field(default_factory=Interruption)  # told when this process stops; ends what waits
    now: Callable[[], datetime] = field(default=local_now)  # aware
