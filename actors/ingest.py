"""Ingest: the one path by which an instance enters, whoever brings it (C-STORE, REST, peers, Lua, job results).

Runs in the caller's thread of a gateway, so that parsing and writing scale with the gateways; the only thing it owns
is the blob folder that the index has leased to this process. Asks the index. An upload goes

    bytes -> element walk -> filter -> blob durable on disk -> index command -> reply

and nothing bad ever reaches the index: what cannot be parsed is discarded before. Small files are parsed in memory and
touch the disk only when they are good; larger ones go to their blob as they come and are parsed from a memory map.
"""

import contextlib
import hashlib
import mmap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from actors.folders import BlobFolders
from actors.index.client import IndexClient
from actors.index.commands import StoreInstance, origin_fields
from actors.ingest_settings import IngestSettings
from events.errors import Busy, FolderRevoked, SinogramError
from store.blobs.store import BlobStore, BlobWriter
from store.dicom.summary import HierarchyIds, Summary, summarize
from store.records import Origin
from store.views.views import Views

# Above this an upload is written to disk as it comes. 50 HTTP threads then hold at most 50 MB.
SPILL_BYTES = 1 << 20
# Empty files kept ready. Creating one and making its name durable took 0.25 ms of the 2.7 ms of a store.
FILES_AHEAD = 32
# MD5 takes 0.22 ms for 170 kB. From this size on it is computed while the disk writes.
HASH_ASIDE_BYTES = 1 << 15
HASH_THREADS = 2


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of an upload."""

    status: str  # "Success", "AlreadyStored" or "FilteredOut"
    summary: Summary

    @property
    def ids(self) -> HierarchyIds:
        return self.summary.ids


Filter = Callable[[Summary, Origin], bool]  # False: acknowledged, not stored


class Ingest:
    """Opens uploads. Thread-safe; one per gateway."""

    def __init__(
        self,
        index: IndexClient,
        views: Views,
        blobs: BlobStore,
        owner: str,
        settings: Callable[[], IngestSettings],
    ) -> None:
        self.index = index
        self.views = views
        self.settings = settings
        self.folders = BlobFolders(index, blobs, owner, sync=settings().sync, ahead=FILES_AHEAD)
        self.filter: Filter | None = None
        self._hashing = ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="ingest-hash")

    def open(self, origin: Origin, correlation: bytes = b"") -> "Upload":
        """Start an upload; leave its `with` block to discard it unless it was stored."""
        return Upload(self, origin, correlation)

    def start_md5(self, data: bytes | memoryview) -> Callable[[], bytes]:
        """Begin to hash; calling what is returned waits for the result."""
        if len(data) >= HASH_ASIDE_BYTES:
            with contextlib.suppress(RuntimeError):  # closed: this upload is one of the last
                return self._hashing.submit(_md5, data).result
        return lambda: _md5(data)

    def close(self) -> None:
        self._hashing.shutdown()
        self.folders.close()


class Upload:
    """One DICOM file on its way in. Not thread-safe."""

    def __init__(self, ingest: Ingest, origin: Origin, correlation: bytes) -> None:
        self._ingest = ingest
        self._origin = origin
        self._correlation = correlation
        self._settings = ingest.settings()
        self._chunks: list[bytes | memoryview] = []
        self._buffered = 0
        self._writer: BlobWriter | None = None
        self._hash: Any = None  # of a spilled upload, as far as it came
        self._is_clear = True  # False once the index may have taken the blob without our knowing

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes of the file; a memoryview is copied if it must be kept. Raises StorageFull."""
        if self._writer is not None:
            self._writer.write(data)
            if self._hash is not None:
                self._hash.update(data)
            return
        self._chunks.append(data if isinstance(data, bytes) else bytes(data))
        self._buffered += len(data)
        if self._buffered > SPILL_BYTES:
            if self._settings.hash:
                self._hash = hashlib.md5(b"".join(self._chunks), usedforsecurity=False)
            self._spill()

    def _spill(self) -> BlobWriter:
        """Start the blob with what is in memory."""
        chunks, self._chunks = self._chunks, []
        self._writer = self._ingest.folders.create()
        for chunk in chunks:
            self._writer.write(chunk)
        return self._writer

    def _write_durably(self) -> tuple[BlobWriter, bytes]:
        """Return the blob, durable on disk, and the MD5 of its bytes (b"" where hashing is off)."""
        if self._writer is not None:
            self._writer.commit(sync=self._settings.sync)
            return self._writer, self._hash.digest() if self._hash is not None else b""
        data = self._chunks[0]
        digest = self._ingest.start_md5(data) if self._settings.hash else None
        writer = self._spill()
        writer.commit(sync=self._settings.sync)
        return writer, digest() if digest is not None else b""

    def store(self) -> StoreResult:
        """Make the file part of the archive, durably.

        Raises InvalidDicom, MissingTag, StorageFull, Busy; nothing is stored then, except that after Busy it may be.
        """
        try:
            return self._store()
        finally:
            self.discard()

    def _store(self) -> StoreResult:
        summary = self._summarize()
        if self._ingest.filter is not None and not self._ingest.filter(summary, self._origin):
            return StoreResult("FilteredOut", summary)
        if self._is_known(summary):
            return StoreResult("AlreadyStored", summary)
        writer, md5 = self._write_durably()
        command = self._command(summary, writer, md5)
        self._is_clear = False
        try:
            status = self._ingest.index.store_instance(command)
        except SinogramError as exc:
            # Busy from a silent core leaves the outcome open; any other refusal came from the index itself.
            self._is_clear = isinstance(exc, FolderRevoked) or not isinstance(exc, Busy)
            raise
        self._is_clear = True
        if status == "Success":
            self._writer = None
            self._ingest.folders.release(writer.folder, is_clear=True)
        return StoreResult(status, summary)

    def _summarize(self) -> Summary:
        encoding = self._settings.default_encoding
        if self._writer is None:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = [data]
            return summarize(data, default_encoding=encoding)
        with mmap.mmap(self._writer.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            return summarize(mapped, default_encoding=encoding)

    def _is_known(self, summary: Summary) -> bool:
        with self._ingest.views.snapshot() as snapshot:
            return snapshot.get_instance(summary.ids.instance) is not None

    def _command(self, summary: Summary, writer: BlobWriter, md5: bytes) -> StoreInstance:
        return StoreInstance(
            patient=summary.ids.patient,
            study=summary.ids.study,
            series=summary.ids.series,
            instance=summary.ids.instance,
            tags={int(level): tags for level, tags in summary.tags.items()},
            blob=writer.blob,
            size_bytes=writer.size_bytes,
            md5=md5,
            transfer_syntax=summary.transfer_syntax,
            sop_class=summary.sop_class,
            pixel_data_offset=summary.pixel_data_offset,
            pixel_data_vr=summary.pixel_data_vr,
            index_in_series=summary.index_in_series,
            expected_instances=summary.expected_instances,
            correlation=self._correlation,
            **origin_fields(self._origin),
        )

    def discard(self) -> None:
        """Forget the upload; its file goes, unless the index may have taken it."""
        self._chunks = []
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if self._is_clear:
            writer.discard()
        self._ingest.folders.release(writer.folder, is_clear=self._is_clear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.discard()


def _md5(data: bytes | memoryview) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
