"""An ingest with a real index behind it, in one process."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.messages.commands.command import Command
from actors.messages.commands.instances import StoreInstance
from actors.messages.index_client import IndexClient
from actors.services.ingest.ingest import Ingest, StoreResult
from actors.services.ingest.settings import IngestSettings
from events.attachments import DICOM_UNTIL_PIXELS
from events.identifiers import Level
from events.stored_file import StoredFile
from store.blobs.store import BlobStore
from store.dicom.received import Announced
from store.records import Instance, Origin
from store.views.attachments import find_attachment
from tests.index_stage import IndexStage

ORIGIN = Origin(kind="RestApi", remote_ip="192.0.2.9", username="alice")


class Gate:
    """An ingest, the index behind it, and hands to make things go wrong on the way between them."""

    def __init__(self, stage: IndexStage, root: Path) -> None:
        self.stage = stage
        self.blobs = BlobStore(root)
        self.before_store: Callable[[StoreInstance], None] = lambda command: None
        self.settings = IngestSettings()
        self.ingest = self.open()

    def open(self) -> Ingest:
        return Ingest(IndexClient(self._ask), self.stage.views, self.blobs, "gateway-1", lambda: self.settings)

    def _ask(self, command: Command) -> Any:
        if isinstance(command, StoreInstance):
            self.before_store(command)
        return self.stage.ask(command)

    def send(self, data: bytes, chunk: int = 1 << 30) -> StoreResult:
        with self.ingest.open(ORIGIN, b"12345678") as upload:
            for start in range(0, len(data), chunk):
                upload.write(memoryview(data)[start : start + chunk])
            return upload.store()

    def receive(self, dataset: bytes, announced: Announced, chunk: int = 1 << 30) -> StoreResult:
        """Store a dataset as a C-STORE brings it."""
        with self.ingest.receive(ORIGIN, announced) as upload:
            for start in range(0, len(dataset), chunk):
                upload.write(memoryview(dataset)[start : start + chunk])
            return upload.store()

    def read(self) -> bytes:
        """What the file of the only instance holds."""
        (record,) = self.instances
        return content_of(record, self.blobs.path(record.blob))

    @property
    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.blobs.root.rglob("*") if path.is_file()}

    @property
    def heads(self) -> list[StoredFile]:
        """The beginnings of compressed files."""
        with self.stage.views.snapshot() as snapshot:
            found = [find_attachment(snapshot, record, DICOM_UNTIL_PIXELS) for record in self.instances]
        return [head for head in found if head is not None]

    @property
    def instances(self) -> list[Instance]:
        with self.stage.views.snapshot() as snapshot:
            return [record for record in snapshot.list(Level.INSTANCE) if isinstance(record, Instance)]


def content_of(file: StoredFile, path: Path) -> bytes:
    """Read a file with the standard library, in Orthanc's form if it is compressed, and look at what is said of it."""
    lying = path.read_bytes()
    if not file.compression:
        return lying
    assert len(lying) == file.packed_bytes
    content = zlib.decompress(lying[8:]) if lying else b""
    assert lying[:8] == (len(content).to_bytes(8, "little") if lying else b"")
    return content


both_ways = pytest.mark.usefixtures("sizes")
