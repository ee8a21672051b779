"""Stand-ins for what the REST API is given: an ingest that keeps what it gets, nothing behind it."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from events.errors import InvalidDicom
from events.identifiers import ResourceId
from store.records import Origin

IDS = SimpleNamespace(
    patient=ResourceId(b"\x11" * 20),
    study=ResourceId(b"\x22" * 20),
    series=ResourceId(b"\x33" * 20),
    instance=ResourceId(b"\x44" * 20),
)


@dataclass
class FakeUpload:
    """Takes for a DICOM file what begins with `DICOM`."""

    ingest: "FakeIngest"
    origin: Origin
    correlation: bytes
    chunks: list[int] = field(default_factory=list)
    data: bytes = b""
    is_open: bool = True

    def write(self, data: bytes) -> None:
        self.chunks.append(len(data))
        self.data += data

    def store(self) -> Any:
        if self.ingest.error is not None:
            raise self.ingest.error
        if not self.data.startswith(b"DICOM"):
            raise InvalidDicom("no DICOM file")
        self.ingest.stored.append(self.data)
        return SimpleNamespace(status="Success", ids=IDS)

    def discard(self) -> None:
        self.is_open = False


@dataclass
class FakeIngest:
    stored: list[bytes] = field(default_factory=list)
    uploads: list[FakeUpload] = field(default_factory=list)
    error: Exception | None = None

    def open(self, origin: Origin, correlation: bytes = b"") -> FakeUpload:
        upload = FakeUpload(self, origin, correlation)
        self.uploads.append(upload)
        return upload
