"""An ingest that keeps what it is given, for tests of the DICOM server alone."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from store.dicom.received import Announced
from store.records import Origin


@dataclass(frozen=True, slots=True)
class FakeResult:
    dimse_status: int


class FakeUpload:
    def __init__(self, ingest: "FakeIngest", origin: Origin) -> None:
        self.ingest = ingest
        self.origin = origin
        self.data = bytearray()
        self.is_stored = False
        self.is_left = threading.Event()
        self.writes = 0

    def write(self, data: bytes | memoryview) -> None:
        self.writes += 1
        self.ingest.on_write(self)
        self.data += data

    def judge(self) -> None:
        self.ingest.on_judge(self)

    def store(self) -> FakeResult:
        self.ingest.on_store(self)
        self.is_stored = self.ingest.dimse_status == 0
        return FakeResult(self.ingest.dimse_status)

    @property
    def dataset(self) -> bytes:
        """What follows the file meta information."""
        length = int.from_bytes(self.data[140:144], "little")
        return bytes(self.data[144 + length :])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_left.set()


class FakeIngest:
    """`on_open` and its like may be replaced by functions that raise or wait; `dimse_status` is what all results have."""

    def __init__(self) -> None:
        self.uploads: list[FakeUpload] = []
        self.on_open: Callable[[], None] = lambda: None
        self.on_write: Callable[[FakeUpload], None] = lambda _: None
        self.on_judge: Callable[[FakeUpload], None] = lambda _: None
        self.on_store: Callable[[FakeUpload], None] = lambda _: None
        self.dimse_status = 0

    def receive(self, origin: Origin, announced: Announced) -> FakeUpload:
        self.on_open()
        upload = FakeUpload(self, origin)
        self.uploads.append(upload)
        upload.write(announced.file_meta(origin.remote_aet))
        return upload

    @property
    def stored(self) -> list[FakeUpload]:
        return [upload for upload in self.uploads if upload.is_stored]
