"""The REST API on a real archive, without a network: requests go straight into the WSGI application."""

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from actors.messages.jobs_client import JobsClient
from actors.messages.log_watch import LogEnd
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.answer_limits import AnswerLimits
from actors.services.remote.asking import create_find_pool
from actors.services.remote.dicomweb_client import DicomWebClient
from actors.services.remote.dicomweb_servers import DicomWebServers
from actors.services.remote.modalities import Modalities
from actors.services.remote.peer_client import PeerClient
from actors.services.remote.peers import Peers
from actors.services.remote.query_store import NO_OTHER_LIMITS, QueryStore
from actors.services.remote.target import ScuSettings
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.replays import Replay, ReplayWanted
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from actors.wire.bridge.channel import open_local_channel
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from api.app import create_app
from api.dicom.conformance import render_conformance
from api.dicom.settings import DicomSettings
from api.rest.deps import Deps
from api.rest.event_hub import EventHub
from api.rest.serving.front import Application
from api.rest.settings import RestSettings
from tools.server.core import Core


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class RestStage:
    """An application and what it was told to do to the server."""

    app: Application
    deps: Deps
    controls: list[str] = field(default_factory=list)

    def ask(self, path: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        return call(self.app, path, method, body, headers or {})

    def upload(self, data: bytes) -> Answer:
        return self.ask("/instances", "POST", data)


def shown(answer: Answer) -> Any:
    """Return the JSON of an answer that must be a success."""
    assert answer.status == 200, answer
    return json.loads(answer.body)


def error_of(answer: Answer) -> tuple[int, int, str]:
    """Return HTTP status, Orthanc's number and details of an error."""
    body = json.loads(answer.body)
    return answer.status, body["OrthancStatus"], body.get("Details", "")


def ids(stage: RestStage, level: str) -> list[str]:
    """Return the identifiers of all resources of a level."""
    found: list[str] = shown(stage.ask(f"/{level}"))
    return found


def call(app: Application, path: str, method: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send one request through an application as the HTTP server would."""
    started: list[Any] = []
    data = b"".join(_pieces(app, environ_of(path, method, body, headers), started))
    return Answer(started[0], started[1], data)


def pieces(app: Application, path: str, method: str, body: bytes) -> Iterator[bytes]:
    """Send one request, and iterate over the pieces of its answer as the HTTP server would take them."""
    return _pieces(app, environ_of(path, method, body, {}), [])


def _pieces(app: Application, environ: dict[str, Any], started: list[Any]) -> Iterator[bytes]:
    def start_response(status: str, given: list[tuple[str, str]], _exc_info: Any = None) -> None:
        started[:] = [int(status[:3]), {name.title(): value for name, value in given}]

    chunks: Any = app(environ, start_response)
    try:
        yield from chunks
    finally:
        getattr(chunks, "close", lambda: None)()


def environ_of(path: str, method: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    parts = urlsplit("http://host" + path)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8042",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ


def _no_replays(_: ReplayWanted) -> Replay:
    raise AssertionError("this stage has no processes")


@contextmanager
def rest_stage(
    archive: Core,
    *,
    modalities_in_database: bool = False,
    peers_in_database: bool = False,
    peers: Sequence[Peer] = (),
    servers: Sequence[Peer] = (),
    servers_in_database: bool = False,
    query_retrieve_size: int = 100,
    answer_limits: AnswerLimits = NO_OTHER_LIMITS,
    scripts: ScriptsClient | None = None,
    filters: ScriptFilters = NO_FILTERS,
    incoming: IngestSettings | None = None,
    start_replay: Callable[[ReplayWanted], Replay] = _no_replays,
    **settings: Any,
) -> Iterator[RestStage]:
    """Build the application on a running archive."""
    queries = QueryStore(archive.settings.index_directory, query_retrieve_size, answer_limits)
    received = incoming or IngestSettings()
    codecs = CodecPool()
    ingest = Ingest(archive.client, archive.views, archive.blobs, "gateway-1", lambda: received, filters, codecs)
    finds = create_find_pool(5)
    peer_client = PeerClient(HttpClientSettings())
    dicomweb_client = DicomWebClient(HttpClientSettings())
    controls: list[str] = []
    log_watch = open_local_channel(archive.log.on_request)
    feed = EventHub(archive.views, LogEnd(log_watch).wait_beyond)

    def control(word: str) -> Callable[[], None]:
        return lambda: controls.append(word)

    deps = Deps(
        views=archive.views,
        blobs=archive.blobs,
        ingest=ingest,
        index=archive.client,
        modalities=Modalities((), archive.views, archive.client, is_stored=modalities_in_database),
        peers=Peers(peers, archive.views, archive.client, is_stored=peers_in_database),
        peer_client=lambda: peer_client,
        dicomweb_servers=DicomWebServers(servers, archive.views, archive.client, is_stored=servers_in_database),
        dicomweb_client=lambda: dicomweb_client,
        queries=queries,
        scu=ScuSettings(aet="SINOGRAM", timeout_s=5),
        finds=finds,
        codecs=codecs,
        jobs=JobsClient(archive.index.ask, open_local_channel(archive.jobs.on_request).request),
        settings=RestSettings(**settings),
        feed=feed,
        conformance=lambda: render_conformance((), DicomSettings(), ScuSettings()),
        scripts=scripts,
        filters=filters,
        start_replay=start_replay,
        shutdown=control("shutdown"),
        reset=control("reset"),
    )
    try:
        yield RestStage(create_app(deps), deps, controls)
    finally:
        feed.stop()
        log_watch.close()
        feed.join()
        finds.close()
        peer_client.close()
        dicomweb_client.close()
        codecs.close()
        ingest.close()
