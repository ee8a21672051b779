"""Ingest: the one path by which an instance enters, whoever brings it (C-STORE, REST, peers, Lua, job results).

Runs in the caller's thread of a gateway, so that parsing and writing scale with the gateways; the only thing it owns
is the blob folder that the index has leased to this process. Asks the index. An upload goes

    bytes -> element walk -> filter -> blob durable on disk -> index command -> reply

and nothing bad ever reaches the index: what cannot be parsed is discarded before. Small files are parsed in memory and
touch the disk only when they are good; larger ones go to their blob as they come and are parsed from a memory map.
"""

import hashlib
import mmap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from actors.index.client import IndexClient
from actors.index.commands import StoreInstance, origin_fields
from events.errors import Busy, SinogramError
from store.blobs.store import FOLDER_FILES, BlobStore, BlobWriter, folder_number, make_blob_id
from store.dicom.summary import HierarchyIds, Summary, summarize
from store.records import Origin
from store.views.views import Views

# Above this an upload is written to disk as it comes. 50 HTTP threads then hold at most 50 MB.
SPILL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of an upload."""

    status: str  # "Success", "AlreadyStored" or "FilteredOut"
    summary: Summary

    @property
    def ids(self) -> HierarchyIds:
        return self.summary.ids


Filter = Callable[[Summary, Origin], bool]  # False: acknowledged, not stored


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    default_encoding: str = "Latin1"
    sync: bool = True  # SyncStorageArea
    hash: bool = True  # StoreMD5ForAttachments


class BlobFolders:
    """The blob folder leased to this process, and the next one when it is full. Thread-safe."""

    def __init__(self, index: IndexClient, blobs: BlobStore, owner: str, *, sync: bool) -> None:
        self._index = index
        self._blobs = blobs
        self._owner = owner
        self._sync = sync
        self._lock = threading.Lock()
        self._folder = -1
        self._places = 0
        self._writing: dict[int, int] = {}  # folder -> uploads under way in it
        self._tainted: set[int] = set()  # folders in which an upload ended without a clear answer

    def create(self) -> BlobWriter:
        """Start a blob. Raises StorageFull, Busy."""
        with self._lock:
            if self._folder < 0 or self._places >= FOLDER_FILES:
                self._lease()
            folder, place = self._folder, self._places
            self._places += 1
            self._writing[folder] = self._writing.get(folder, 0) + 1
        blob = make_blob_id(folder, place)
        try:
            return BlobWriter(self._blobs.path(blob), blob)
        except BaseException:
            self.release(folder, is_clear=True)
            raise

    def release(self, folder: int, *, is_clear: bool) -> None:
        """An upload into a folder is over; `is_clear` if its file is known to be wanted or gone."""
        with self._lock:
            self._writing[folder] -= 1
            if not is_clear:
                self._tainted.add(folder)
            if self._writing[folder] or folder == self._folder:
                return
            del self._writing[folder]
            retire = folder not in self._tainted
        if retire:  # a tainted folder keeps its lease: the next start sweeps it
            self._index.retire_folder(folder)

    def _lease(self) -> None:
        previous = self._folder
        folder = self._index.open_folder(self._owner)
        self._blobs.make_folder(folder, sync=self._sync)
        self._folder, self._places = folder, 0
        if previous >= 0 and not self._writing.get(previous) and previous not in self._tainted:
            self._writing.pop(previous, None)
            self._index.retire_folder(previous)

    def close(self) -> None:
        """Give the folder back, if nothing is under way in it."""
        with self._lock:
            folder, self._folder = self._folder, -1
            if folder >= 0 and not self._writing.get(folder) and folder not in self._tainted:
                self._index.retire_folder(folder)


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
        self.folders = BlobFolders(index, blobs, owner, sync=settings().sync)
        self.filter: Filter | None = None

    def open(self, origin: Origin, correlation: bytes = b"") -> "Upload":
        """Start an upload; leave its `with` block to discard it unless it was stored."""
        return Upload(self, origin, correlation)

    def close(self) -> None:
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
        self._hash: Any = hashlib.md5(usedforsecurity=False) if self._settings.hash else None
        self._is_clear = True  # False once the index may have taken the blob without our knowing

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes of the file; a memoryview is copied if it must be kept. Raises StorageFull."""
        if self._writer is None:
            self._chunks.append(data if isinstance(data, bytes) else bytes(data))
            self._buffered += len(data)
            if self._buffered > SPILL_BYTES:
                self._spill()
        else:
            self._writer.write(data)
            if self._hash is not None:
                self._hash.update(data)

    def _spill(self) -> BlobWriter:
        chunks, self._chunks = self._chunks, []
        self._writer = self._ingest.folders.create()
        for chunk in chunks:
            self._writer.write(chunk)
            if self._hash is not None:
                self._hash.update(chunk)
        return self._writer

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
        writer = self._writer or self._spill()
        writer.commit(sync=self._settings.sync)
        self._is_clear = False
        try:
            status = self._ingest.index.store_instance(self._command(summary, writer))
        except SinogramError as exc:
            # Busy from a silent core leaves the outcome open; any other refusal came from the index itself.
            self._is_clear = not isinstance(exc, Busy)
            raise
        self._is_clear = True
        if status == "Success":
            self._writer = None
            self._ingest.folders.release(folder_number(writer.blob), is_clear=True)
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
            return snapshot.find(summary.ids.instance) is not None

    def _command(self, summary: Summary, writer: BlobWriter) -> StoreInstance:
        return StoreInstance(
            patient=summary.ids.patient,
            study=summary.ids.study,
            series=summary.ids.series,
            instance=summary.ids.instance,
            tags={int(level): tags for level, tags in summary.tags.items()},
            blob=writer.blob,
            size_bytes=writer.size_bytes,
            md5=self._hash.digest() if self._hash is not None else b"",
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
        self._ingest.folders.release(folder_number(writer.blob), is_clear=self._is_clear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.discard()
