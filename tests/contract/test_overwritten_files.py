"""Nobody who reads an instance finds it missing while it is overwritten: who has looked it up and comes too late reads the new file.

The overwriting happens, and the old file goes, in the moment in which the reader wants to open it.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.messages.commands.instances import ALWAYS
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from actors.services.jobs.operations import peer_sends, system_calls
from api.dicom.get_scp import create_get_service
from events.identifiers import BlobId, Level, ResourceId, format_resource_id
from store.blobs.store import BlobStore
from store.dicom.uids import STUDY_ROOT_GET
from store.records import Instance, Origin
from store.views.find import Finder
from store.views.query import Query
from tests.contract.destination import destination
from tests.contract.operations_stage import SUCCESS, working
from tests.contract.rest_stage import rest_stage
from tests.contract.retrieve_stage import get, serving
from tests.dicom_bytes import dataset, encode, uid
from tools.server.core import Core

OLD, NEW = b"Old words", b"New words"
DEADLINE_S = 20.0
DERIVATION_DESCRIPTION = 0x00082111  # in files alone


def file(words: bytes) -> bytes:
    return encode(dataset(1, 1, 1, 1, DerivationDescription=words.decode()))


@pytest.fixture
def instance(archive: Core, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """The only one, overwritten as soon as anybody asks where its file lies; its patient, study and series with it."""
    ingest = Ingest(archive.client, archive.views, archive.blobs, "gateway-1", lambda: IngestSettings(overwrite=ALWAYS))

    def store(words: bytes) -> None:
        with ingest.open(Origin(kind="RestApi")) as upload:
            upload.write(file(words))
            assert upload.store().status == "Success"

    store(OLD)
    with archive.views.snapshot() as s:
        (first,) = [each for each in s.list(Level.INSTANCE) if isinstance(each, Instance)]
    path = BlobStore.path
    is_done: list[bool] = []

    def overwrite(blobs: BlobStore, blob: BlobId) -> Path:
        place = path(blobs, blob)
        if blob == first.blob and not is_done:
            is_done.append(True)
            store(NEW)
            end = time.monotonic() + DEADLINE_S
            while place.exists():
                assert time.monotonic() < end, "the old file does not go"
                time.sleep(0.001)
        return place

    monkeypatch.setattr(BlobStore, "path", overwrite)
    yield first
    assert is_done
    ingest.close()


def bench(archive: Core, folder: Path) -> Any:
    return SimpleNamespace(views=archive.views, blobs=archive.blobs, temporary_directory=folder)


def read_file(archive: Core, resource: ResourceId, _: Path) -> bytes:
    with rest_stage(archive) as stage:
        return stage.ask(f"/instances/{format_resource_id(resource)}/file").body


def read_tags(archive: Core, resource: ResourceId, _: Path) -> bytes:
    with rest_stage(archive) as stage:
        return stage.ask(f"/instances/{format_resource_id(resource)}/simplified-tags").body


def read_peer(archive: Core, resource: ResourceId, folder: Path) -> bytes:
    return bytes(peer_sends.read_instance(bench(archive, folder), resource)[1])


def read_copy(archive: Core, resource: ResourceId, folder: Path) -> bytes:
    with system_calls._copied(bench(archive, folder), resource) as copy:
        return copy.read_bytes()


def read_get(archive: Core, _: ResourceId, __: Path) -> bytes:
    codecs = CodecPool()
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        told = get(port, STUDY_ROOT_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)})
    codecs.close()
    assert told.status == 0
    return told.received[0][2]


def read_store(archive: Core, _: ResourceId, __: Path) -> bytes:
    with destination() as there, working(archive) as engine:
        assert engine.store(there) == SUCCESS
        return there.sent[0].dataset


def read_find(archive: Core, _: ResourceId, __: Path) -> bytes:
    query = Query(level=Level.INSTANCE, keys={}, wanted=(DERIVATION_DESCRIPTION,))
    (answers,) = [batch for batch in Finder(archive.views, archive.blobs).find(query) if batch]
    return str(answers).encode()


@pytest.mark.parametrize("read", [read_file, read_tags, read_peer, read_copy, read_get, read_store, read_find])
def test_a_reader_who_comes_too_late_reads_the_new_file(
    archive: Core, instance: Instance, tmp_path: Path, read: Callable[[Core, ResourceId, Path], bytes]
) -> None:
    found = read(archive, instance.id, tmp_path)
    assert NEW in found
    assert OLD not in found
