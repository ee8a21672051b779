"""`ReadOnly`: no way into the archive changes it, and what only works with it goes on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.index.actor import check_records
from actors.messages.commands.attachments import RemoveAttachment, RepackAttachment, SetAttachment
from actors.messages.commands.command import Command
from actors.messages.commands.dicomweb_servers import RemoveDicomWebServer, StoreDicomWebServer
from actors.messages.commands.files import ForgetCondemned, OpenFolder, RetireFolder, RevokeFolders
from actors.messages.commands.instances import NoteDuplicate, StoreInstance
from actors.messages.commands.jobs import AddJobOutput
from actors.messages.commands.labels import AddLabel, RemoveLabel
from actors.messages.commands.metadata import RemoveMetadata, SetMetadata
from actors.messages.commands.peers import RemovePeer, StorePeer
from actors.messages.commands.plain import COMMANDS, Together, to_plain
from actors.messages.commands.protection import SetProtection
from actors.messages.commands.reconstruction import Reconstruct
from actors.messages.commands.recycling import RecycleExcess
from actors.messages.commands.resources import DeleteResource, PurgeRows, RetractInstance, SetStability, SettleResources
from actors.messages.commands.scripts import DeleteKeyValue, StoreKeyValue
from actors.messages.commands.server import (
    ChooseMainTags,
    ClearChanges,
    ClearExports,
    DropCursor,
    RemoveModality,
    SaveCursor,
    StoreModality,
)
from actors.messages.commands.worklists import RemoveWorklist, StoreWorklist
from actors.messages.index_client import IndexClient
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from api.dicom.status import store_status
from events.errors import ReadOnlyArchive
from events.identifiers import BlobId, Level, ResourceId, Seq, parse_resource_id
from store.blobs.store import BlobStore
from store.log import read_end
from store.records import Origin
from tests.contract.rest_stage import RestStage, rest_stage
from tests.data_factory import dataset, encode
from tests.fault.instances import Instance
from tests.fault.senders import StoreScu
from tests.fault.servers import ServerUnderTest, server_in, wait_for
from tools.server.core import Core

# Whoever adds a command decides here, too, whether it changes the archive. `Together` is judged by its parts.
CHANGING = {
    StoreInstance, NoteDuplicate, DeleteResource, RetractInstance, PurgeRows, SettleResources, SetStability, ClearChanges,
    ClearExports, StoreModality, RemoveModality, StorePeer, RemovePeer, StoreDicomWebServer, RemoveDicomWebServer, StoreKeyValue, DeleteKeyValue, AddJobOutput, OpenFolder, RevokeFolders,
    RetireFolder, ForgetCondemned, SetMetadata, RemoveMetadata, AddLabel, RemoveLabel, SetProtection,
    RecycleExcess, SetAttachment, RemoveAttachment, RepackAttachment, ChooseMainTags, Reconstruct, Together,
    StoreWorklist, RemoveWorklist,
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.__name__)
def test_every_command_is_a_record_or_refused(command: type[Command]) -> None:
    assert command.IS_RECORD is (command not in CHANGING)
    if command in CHANGING:
        with pytest.raises(ReadOnlyArchive):
            check_records([command.__new__(command)])


# -- the core ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(archive_factory: Callable[..., Core]) -> Iterator[RestStage]:
    """An archive with one instance that is not stable, opened with ReadOnly."""
    core = archive_factory(stable_age_s=3600.0)
    with rest_stage(core) as filling:
        assert filling.upload(encode(dataset(1, 1, 1, 1))).status == 200
    core.stop()
    with rest_stage(
        archive_factory(stable_age_s=0.0, read_only=True),
        read_only=True,
        modalities_in_database=True,
        peers_in_database=True,
    ) as made:
        yield made


def end(stage: RestStage) -> Seq:
    with stage.deps.views.snapshot() as snapshot:
        return read_end(snapshot.txn, snapshot.tables)[0]


def patient(stage: RestStage) -> ResourceId:
    found = parse_resource_id(json.loads(stage.ask("/patients").body)[0])
    assert found is not None
    return found


ATTEMPTS: dict[str, Callable[[IndexClient, ResourceId], Any]] = {
    "delete": lambda index, patient: index.delete(Level.PATIENT, patient),
    "delete what is not there": lambda index, _: index.delete(Level.PATIENT, ResourceId(bytes(20))),
    "clear changes": lambda index, _: index.clear_changes(),
    "clear exports": lambda index, _: index.clear_exports(),
    "declare stable": lambda index, patient: index.set_stability(patient, is_stable=True),
    "set metadata": lambda index, patient: index.set_metadata(
        SetMetadata(id=patient, number=1024, value=b"value", correlation=b"")
    ),
    "remove metadata": lambda index, patient: index.remove_metadata(
        RemoveMetadata(id=patient, number=1024, correlation=b"")
    ),
    "set an attachment": lambda index, patient: index.set_attachment(
        SetAttachment(id=patient, number=1024, blob=BlobId(bytes(16)), size_bytes=0, md5=b"", correlation=b"")
    ),
    "remove an attachment": lambda index, patient: index.remove_attachment(
        RemoveAttachment(id=patient, number=1024, correlation=b"")
    ),
    "keep a value": lambda index, _: index.store_key_value(b"store", b"key", b"value"),
    "drop a value": lambda index, _: index.delete_key_value(b"store", b"key"),
    "add a label": lambda index, patient: index.change_label(
        AddLabel(level=Level.PATIENT, id=patient, label="a", remote_ip="", username="", correlation=b"")
    ),
    "retract": lambda index, _: index.retract(BlobId(bytes(8))),
    "lease a folder": lambda index, _: index.open_folder("gateway-1"),
    "something allowed beside it": lambda index, _: index._ask(
        Together(
            commands=[
                to_plain(SaveCursor(consumer="lua", seq=Seq(1))),
                to_plain(ClearChanges()),
                to_plain(DropCursor(consumer="lua")),
            ]
        )
    ),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_index_refuses_and_nothing_is_written(stage: RestStage, name: str) -> None:
    before = end(stage)
    with pytest.raises(ReadOnlyArchive, match="ReadOnly"):
        ATTEMPTS[name](stage.deps.index, patient(stage))
    assert end(stage) == before
    with stage.deps.views.snapshot() as snapshot:
        assert not list(snapshot.keys(b"cursors", b""))


def test_records_are_taken(stage: RestStage) -> None:
    stage.deps.index.save_cursor("lua", Seq(1))
    stage.deps.index.drop_cursor("lua")
    stage.deps.index.set_setting("default-encoding", "Utf8")
    stage.deps.index.log_exports("MODALITY", [])


def test_ingest_refuses_before_it_writes(archive: Core, tmp_path: Path) -> None:
    settings = IngestSettings(read_only=True)
    ingest = Ingest(archive.client, archive.views, BlobStore(tmp_path / "other"), "gateway-1", lambda: settings)
    with pytest.raises(ReadOnlyArchive) as refused:
        ingest.open(Origin(kind="RestApi"))
    assert store_status(refused.value) == 0xA700
    ingest.close()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", ["/patients/x", "/studies/x", "/series/x", "/instances/x"])
def test_routes_that_delete_are_not_there(stage: RestStage, method: str, path: str) -> None:
    answer = stage.ask(path, method)
    assert answer.status == (404 if method == "GET" else 405)
    if method == "DELETE":
        assert (answer.body, answer.headers["Allow"]) == (b"", "GET")


@pytest.mark.parametrize("body", [b"", b"no file", encode(dataset(1, 1, 1, 1)), encode(dataset(2, 1, 1, 1))])
def test_uploads_have_no_route(stage: RestStage, body: bytes) -> None:
    answer = stage.upload(body)
    assert (answer.status, answer.body, answer.headers["Allow"]) == (405, b"", "GET")


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/changes", "DELETE", b""),
        ("/exports", "DELETE", b""),
        ("/modalities/a", "PUT", b'["A", "127.0.0.1", 104]'),
        ("/peers/a", "PUT", b'["http://127.0.0.1:1/"]'),
    ],
)
def test_other_changes_are_errors_as_in_orthanc(stage: RestStage, path: str, method: str, body: bytes) -> None:
    answer = stage.ask(path, method, body)
    said = json.loads(answer.body)
    assert (answer.status, said["OrthancStatus"]) == (500, 22)
    assert said["Message"] == "Cannot modify a read-only data structure"
    assert "ReadOnly" in said["Details"]


def test_the_system_says_so(stage: RestStage) -> None:
    assert json.loads(stage.ask("/system").body)["ReadOnly"] is True


# -- a whole server ---------------------------------------------------------------------------------------------------

_SCRIPT = "print(RestApiDelete('/patients/{0}')) print(RestApiPost('/instances', 'x')) StoreKeyValue('a', 'b', 'c')"


def _files(server: ServerUnderTest) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (server.storage / "blobs").rglob("*") if path.is_file()}


def test_a_server_keeps_its_archive_as_it_is(tmp_path: Path) -> None:
    kept, new = Instance(1, "RO", 1, 1, 200), Instance(1, "RO", 1, 2, 200)
    modality: dict[str, Any] = {}
    with server_in(tmp_path, StableAge=1, ExecuteLuaEnabled=True, DicomModalities=modality) as server:
        modality["self"] = ["FAULT", "127.0.0.1", server.dicom_port]
        server.options["StableAge"] = 3600
        server.start("--single-process")
        with StoreScu(server.dicom_port) as association:
            assert association.store(kept) == 0
        assert server.stop() == 0
        server.options |= {"ReadOnly": True, "StableAge": 1}
        server.start()
        changes, files = server.get("/changes"), _files(server)
        for instance in (kept, new):
            with StoreScu(server.dicom_port) as association:
                assert association.store(instance) == 0xA700
        [patient] = server.get("/patients")
        assert server.request("POST", "/tools/execute-script", _SCRIPT.format(patient).encode()).status == 200
        assert server.request("POST", "/modalities/self/echo", b"{}").status == 200
        sent = server.request("POST", "/modalities/self/store", kept.id.encode())
        assert sent.status == 500  # to itself, which takes nothing
        wait_for(lambda: server.get("/jobs"), "the job's record")
        assert server.get("/changes") == changes
        assert server.stop() == 0
        assert _files(server) == files
        del server.options["ReadOnly"]
        server.start("--single-process")
        assert server.get("/changes")["Changes"][: len(changes["Changes"])] == changes["Changes"]
        assert server.get("/jobs")
        wait_for(lambda: server.get("/changes?type=StablePatient")["Changes"], "what ripened meanwhile")
        with StoreScu(server.dicom_port) as association:
            assert association.store(new) == 0
        assert server.stop() == 0
