"""Stored modalities, peers and DICOMweb servers, and exports: any commands in any order are what a plain model says, and replay gives the very bytes."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages.commands.command import Command
from actors.messages.commands.dicomweb_servers import RemoveDicomWebServer, StoreDicomWebServer
from actors.messages.commands.peers import RemovePeer, StorePeer
from actors.messages.commands.server import ClearExports, LogExports, RemoveModality, StoreModality
from actors.services.remote.modality import MANUFACTURERS, RETRIEVE_METHODS, Modality, Operation, from_plain, to_plain
from actors.wire.http import peer as peer_values
from actors.wire.http.peer import Peer
from events.identifiers import Level, ResourceId
from store.environment import Environment
from store.views.exports import get_exports, get_last_export
from store.views.remotes import DICOMWEB_ROWS, MODALITY_ROWS, PEER_ROWS
from tests.clock import Clock
from tests.index_stage import IndexStage
from tools.replay import differences, rebuild

names = st.sampled_from(["a", "b", "pacs-1", "x" * 200])
texts = st.text(max_size=5)
modalities = st.builds(
    Modality,
    name=names,
    aet=texts,
    host=texts,
    port=st.integers(1, 65_535),
    manufacturer=st.sampled_from(MANUFACTURERS),
    allowed=st.frozensets(st.sampled_from(list(Operation))),
    allow_transcoding=st.booleans(),
    use_tls=st.booleans(),
    local_aet=texts,
    timeout_s=st.integers(0, 1 << 33),
    retrieve_method=st.sampled_from(RETRIEVE_METHODS),
)
peers = st.builds(
    Peer,
    name=names,
    url=texts,
    username=texts,
    password=texts,
    headers=st.dictionaries(texts, texts, max_size=2),
    timeout_s=st.integers(0, (1 << 31) - 1),
    certificate=st.sampled_from([None, Path("/us.pem")]),
    private_key=st.sampled_from([None, Path("/us.key")]),
    private_key_password=texts,
    pkcs11=st.booleans(),
    properties=st.dictionaries(texts, texts, max_size=2),
)
exports = st.lists(
    st.tuples(st.sampled_from(Level), st.binary(min_size=20, max_size=20), texts, texts, texts, texts).map(list),
    max_size=3,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("store"), modalities),
        st.tuples(st.just("remove"), names),
        st.tuples(st.just("store peer"), peers),
        st.tuples(st.just("remove peer"), names),
        st.tuples(st.just("store server"), peers),
        st.tuples(st.just("remove server"), names),
        st.tuples(st.just("export"), exports),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=20,
)


def command_of(kind: str, value: Any) -> Command:
    match kind:
        case "store":
            return StoreModality(values=to_plain(value), correlation=b"")
        case "remove":
            return RemoveModality(name=value, correlation=b"")
        case "store peer":
            return StorePeer(values=peer_values.to_plain(value), correlation=b"")
        case "remove peer":
            return RemovePeer(name=value, correlation=b"")
        case "store server":
            return StoreDicomWebServer(values=peer_values.to_plain(value), correlation=b"")
        case "remove server":
            return RemoveDicomWebServer(name=value, correlation=b"")
        case "export":
            return LogExports(modality="pacs", exports=value, correlation=b"")
        case _:
            return ClearExports()


@given(steps=steps)
@settings(max_examples=60, deadline=None)
def test_they_are_what_the_model_says_and_replay_agrees(steps: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder, environment(folder, "live") as live, environment(folder, "fresh") as fresh:
        stage = IndexStage(live, Clock())
        known: dict[str, Modality] = {}
        known_peers: dict[str, Peer] = {}
        known_servers: dict[str, Peer] = {}
        sent: list[list[Any]] = []
        for kind, value in steps:
            answer = stage.ask(command_of(kind, value))
            match kind:
                case "store":
                    known[value.name] = value
                case "remove":
                    assert answer is (known.pop(value, None) is not None)
                case "store peer":
                    known_peers[value.name] = value
                case "remove peer":
                    assert answer is (known_peers.pop(value, None) is not None)
                case "store server":
                    known_servers[value.name] = value
                case "remove server":
                    assert answer is (known_servers.pop(value, None) is not None)
                case "export":
                    sent += value
                case _:
                    sent.clear()
        with stage.views.snapshot() as snapshot:
            stored = [from_plain(values) for values in MODALITY_ROWS.list_stored(snapshot)]
            assert {modality.name: modality for modality in stored} == known
            stored_peers = [peer_values.from_plain(values) for values in PEER_ROWS.list_stored(snapshot)]
            assert {peer.name: peer for peer in stored_peers} == known_peers
            stored_servers = [peer_values.from_plain(values) for values in DICOMWEB_ROWS.list_stored(snapshot)]
            assert {server.name: server for server in stored_servers} == known_servers
            page = get_exports(snapshot, since=0, limit=1_000)
            rows = [
                [e.level, ResourceId(e.resource), e.patient_id, e.study_instance_uid, e.series_instance_uid]
                for e in page.exports
            ]
            assert rows == [export[:5] for export in sent]
            assert get_last_export(snapshot).exports == page.exports[-1:]
        with live.begin() as txn:
            rebuild(live, txn, fresh)
            with fresh.begin() as rebuilt:
                assert differences(txn, live.tables, rebuilt, fresh.tables) == {}


def environment(folder: str, name: str) -> Environment:
    (Path(folder) / name).mkdir()
    return Environment(Path(folder) / name, writable=True, durable=False)
