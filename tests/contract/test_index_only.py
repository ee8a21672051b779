"""`StoreDicom` false: the index knows everything that it would know otherwise, there is no file, and whatever needs one says so.

Expected: Orthanc 1.12.7's answers without its cache in memory (tests/peer/test_recycling.py).
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.messages.commands.instances import ALWAYS
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.settings import IngestSettings
from actors.services.lua.caused_calls import DeliveryReader
from api.dicom.get_scp import create_get_service
from events.identifiers import Level, Seq
from store.dicom.uids import STUDY_ROOT_GET
from store.tables import CONDEMNED, EVENTS, PERSONAL, key
from store.views.find import Finder
from store.views.metadata import MetadataNaming
from store.views.query import Query
from tests.contract.rest_stage import RestStage, rest_stage
from tests.contract.retrieve_stage import get, serving
from tests.dicom_bytes import add_pixels, dataset, encode, uid
from tests.peer.servers import wait_for
from tools import fsck
from tools.server.core import Core

FILE = encode(add_pixels(dataset(1, 1, 1, 1, DerivationDescription="in files alone")))
LARGE = encode(add_pixels(dataset(1, 1, 1, 2), rows=1000, columns=1000))  # goes to the disk before it is judged
DERIVATION_DESCRIPTION = 0x00082111
INDEX_ONLY = IngestSettings(store_dicom=False)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, incoming=INDEX_ONLY) as made:
        assert read(made, "/instances", "POST", FILE)["Status"] == "Success"
        yield made


def read(stage: RestStage, path: str, method: str = "GET", body: bytes = b"") -> Any:
    answer = stage.ask(path, method, body)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def path_of(stage: RestStage, level: str = "instances") -> str:
    return f"/{level}/{read(stage, f'/{level}')[0]}"


def files(stage: RestStage) -> list[Path]:
    return [path for path in stage.deps.blobs.root.rglob("*-*") if path.is_file() and path.stat().st_size]


@pytest.mark.parametrize("data", [FILE, LARGE])
def test_the_index_knows_the_instance_and_no_file_is_left(archive: Core, data: bytes) -> None:
    with rest_stage(archive, incoming=INDEX_ONLY) as stage:
        assert [read(stage, "/instances", "POST", data)["Status"] for _ in range(2)] == ["Success", "AlreadyStored"]
        assert files(stage) == []
        info = read(stage, f"{path_of(stage)}/attachments/dicom/info")
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        assert (info["UncompressedSize"], info["UncompressedMD5"]) == (len(data), md5)
        assert read(stage, "/statistics")["TotalDiskSize"] == str(len(data))
        assert read(stage, path_of(stage))["FileSize"] == len(data)
        assert read(stage, f"{path_of(stage, 'studies')}?requested-tags=PatientName")["RequestedTags"]


@pytest.mark.parametrize(
    "route", ["file", "tags", "simplified-tags", "header", "content", "content/0010-0010", "attachments/dicom/data"]
)
def test_what_needs_the_file_is_an_unknown_resource(stage: RestStage, route: str) -> None:
    answer = stage.ask(f"{path_of(stage)}/{route}")
    assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (404, 17)


def test_tags_of_many_files(stage: RestStage) -> None:
    for route, status in (
        ("instances-tags", 404),
        ("shared-tags", 200),
        ("module", 404),
        ("?requested-tags=Rows", 404),
    ):
        path = path_of(stage, "series") + (route if route.startswith("?") else f"/{route}")
        assert stage.ask(path).status == status, path
    assert read(stage, f"{path_of(stage, 'series')}/shared-tags") == {}


def test_nothing_is_damaged_by_it(archive: Core, stage: RestStage) -> None:
    for route in ("file", "attachments/dicom/data", "tags"):
        stage.ask(f"{path_of(stage)}/{route}")
    stage.ask(f"{path_of(stage)}/attachments/dicom/verify-md5", "POST")
    assert read(stage, "/storage/status")["Damaged"] == []
    assert not [event for event in read(stage, "/events?limit=100")["Events"] if "damaged" in event["Tag"]]
    archive.stop()
    assert fsck.fsck(archive.settings.index_directory, archive.settings.storage_directory) == 0


def test_a_query_is_answered_from_the_index(archive: Core, stage: RestStage) -> None:
    assert stage is not None
    query = Query(level=Level.INSTANCE, keys={}, wanted=(DERIVATION_DESCRIPTION, 0x00080018))
    (answers,) = [batch for batch in Finder(archive.views, archive.blobs).find(query) if batch]
    assert answers == [{0x00080018: uid(1, 1, 1, 1)}]


def test_a_retrieval_fails(archive: Core, stage: RestStage, codecs: CodecPool) -> None:
    assert stage is not None
    with serving(create_get_service(archive.views, archive.blobs, codecs)) as port:
        told = get(port, STUDY_ROOT_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid(1, 1)})
    assert (told.received, told.status) == ([], 0xA702)


def test_scripts_are_told_what_the_index_knows(archive: Core, stage: RestStage) -> None:
    assert stage is not None
    reader = DeliveryReader(archive.views, archive.blobs, lambda: "Latin1", MetadataNaming({}))
    with archive.views.snapshot() as s:
        row, personal = s.row(EVENTS, key(1)), s.row(PERSONAL, key(1))
    assert row is not None
    ((_, delivery),) = reader.read(Seq(1), row, personal, lambda name: name == "OnStoredInstance").deliveries
    tags = delivery.arguments[1]
    assert (tags["PatientID"], tags["StudyInstanceUID"], tags["Modality"]) == ("PAT1", uid(1, 1), "MR")
    assert (tags["SOPInstanceUID"], tags["SOPClassUID"]) == (uid(1, 1, 1, 1), "1.2.840.10008.5.1.4.1.1.4")
    assert "DerivationDescription" not in tags


def test_its_deletion_leaves_nothing_to_be_removed(archive: Core, stage: RestStage) -> None:
    stage.ask(path_of(stage), "DELETE")

    def is_forgotten() -> bool:
        with archive.views.snapshot() as s:
            return not [*s.keys(CONDEMNED, b"")]

    wait_for(is_forgotten, "the storage actor to forget the file", 30.0)
    assert read(stage, "/statistics")["CountInstances"] == 0


@pytest.mark.parametrize("overwrite", ["Never", ALWAYS])
def test_a_file_comes_to_it_by_overwriting_alone(archive: Core, stage: RestStage, overwrite: str) -> None:
    """As in Orthanc, the instance is there."""
    assert files(stage) == []
    with rest_stage(archive, incoming=IngestSettings(overwrite=overwrite)) as keeping:
        is_kept = overwrite == ALWAYS
        assert read(keeping, "/instances", "POST", FILE)["Status"] == ("Success" if is_kept else "AlreadyStored")
        assert keeping.ask(f"{path_of(keeping)}/file").status == (200 if is_kept else 404)
