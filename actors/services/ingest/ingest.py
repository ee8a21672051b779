"""Ingest: the one path by which an instance enters, whoever brings it (C-STORE, REST, peers, Lua, job results).

Runs in the caller's thread of a gateway, so that parsing and writing scale with the gateways; the only thing it owns
is the blob folder that the index has leased to this process. Asks the index. An upload goes

    bytes -> element walk -> filter -> blob on disk, index command -> reply

and nothing bad ever reaches the index: what cannot be parsed is discarded before. Small files are parsed in memory and
touch the disk only when they are good; larger ones go to their blob as they come and are parsed from a memory map.

The caller is answered when both the blob and the event are durable. For a small file the two syncs run side by side,
which saves one of the three waits for the disk. If the blob's fails, or a power cut comes between the two, the instance
is retracted (by us, or by the sweep at the next start): it was visible for a moment, and never acknowledged.
"""

import contextlib
import hashlib
import logging
import mmap
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from actors.messages.commands.instances import StoreInstance
from actors.messages.index_client import IndexClient
from actors.services.ingest.folders import BlobFolders
from actors.services.ingest.settings import IngestSettings
from actors.services.scripts.script_filters import NO_FILTERS, Judgement, ReceivedFile, ScriptFilters
from actors.wire import metrics
from events.errors import Busy, DamagedFile, FolderRevoked, NotFound, ReadOnlyArchive, SinogramError
from events.identifiers import BlobId, Level, new_correlation
from store.blobs.store import BlobStore
from store.blobs.writer import BlobWriter, folder_number
from store.dicom.elements import Buffer
from store.dicom.received import Announced, read_clean, trim
from store.dicom.summary import HierarchyIds, Summary, summarize
from store.records import Instance, Origin
from store.views.views import Views

logger = logging.getLogger(__name__)

# Above this an upload is written to disk as it comes. 50 HTTP threads then hold at most 50 MB.
SPILL_BYTES = 1 << 20
# Empty files kept ready. Creating one and making its name durable took 0.25 ms of the 2.7 ms of a store.
FILES_AHEAD = 32
# Files being synced at once. Each thread does nothing but wait for the disk.
SYNC_THREADS = 16


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of an upload."""

    status: str  # "Success", "AlreadyStored" or "FilteredOut"
    summary: Summary
    dimse_status: int = 0  # what a C-STORE of an instance that was filtered out is answered

    @property
    def ids(self) -> HierarchyIds:
        return self.summary.ids


class Ingest:
    """Opens uploads. Thread-safe; one per gateway."""

    def __init__(
        self,
        index: IndexClient,
        views: Views,
        blobs: BlobStore,
        owner: str,
        settings: Callable[[], IngestSettings],
        filters: ScriptFilters = NO_FILTERS,
    ) -> None:
        self.index = index
        self.views = views
        self.blobs = blobs
        self.settings = settings
        self.folders = BlobFolders(index, blobs, owner, sync=settings().sync, ahead=FILES_AHEAD)
        self.filters = filters
        self._syncing = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="ingest-sync")

    def open(self, origin: Origin, correlation: bytes = b"") -> "Upload":
        """Start an upload; leave its `with` block to discard it unless it was stored.

        `correlation` names the request it belongs to in its events; without one it is a request of its own. Raises
        ReadOnlyArchive.
        """
        return Upload(self, origin, correlation or new_correlation())

    def receive(self, origin: Origin, announced: Announced) -> "Upload":
        """Start an upload of a dataset that a C-STORE brings; what is written is the dataset as it comes.

        A file's head is put before it. What its sender has put around it is not kept, and a dataset of another instance is
        refused before anybody sees it. Raises ReadOnlyArchive.
        """
        return Upload(self, origin, new_correlation(), announced)

    def start_commit(self, writer: BlobWriter, *, sync: bool) -> Callable[[], None]:
        """Begin to make a blob durable; calling what is returned waits until it is. Raises StorageFull then."""
        if sync:
            with contextlib.suppress(RuntimeError):  # closed: this upload is one of the last
                return self._syncing.submit(_commit, writer, sync=True).result
        return lambda: _commit(writer, sync=sync)

    def close(self) -> None:
        self._syncing.shutdown()
        self.folders.close()


class Upload:
    """One DICOM file on its way in. Not thread-safe."""

    def __init__(self, ingest: Ingest, origin: Origin, correlation: bytes, announced: Announced | None = None) -> None:
        self._ingest = ingest
        self._origin = origin
        self._correlation = correlation
        self._announced = announced  # of a dataset from the network
        self._settings = ingest.settings()
        if self._settings.read_only:  # before a byte is kept or a filter asked; the index would refuse it in the end
            raise ReadOnlyArchive
        self._chunks: list[bytes | memoryview] = []
        self._received_bytes = 0
        self._writer: BlobWriter | None = None
        self._hash: Any = None  # of a spilled upload, as far as it came
        self._is_clear = True  # False once the index may have taken the blob without our knowing
        self._is_kept = False  # True once the index refers to the blob
        self._judged: tuple[Summary, Judgement] | None = None
        self._heals = BlobId(b"")  # the damaged file of this instance, which ours is to replace
        self._head_bytes = 0  # of the file meta information, where it is ours
        if announced is not None:
            head = announced.file_meta(origin.remote_aet)
            self._head_bytes = len(head)
            self.write(head)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes of the file; a memoryview is copied if it must be kept. Raises StorageFull."""
        self._received_bytes += len(data)
        if self._writer is not None:
            self._writer.write(data)
            if self._hash is not None:
                self._hash.update(data)
            return
        self._chunks.append(data if isinstance(data, bytes) else bytes(data))
        if self._received_bytes > SPILL_BYTES:
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

    def judge(self) -> None:
        """Ask the filters of scripts, if there are any; the file is complete.

        For callers who must not hold what is scarce while a script thinks; `store` does it otherwise. Raises as `store`.
        """
        if self._judged is None and self._ingest.filters.has_received_filters:
            summary = self._summarize()
            self._judged = summary, self._ask_filters(summary)

    def store(self) -> StoreResult:
        """Make the file part of the archive, durably, unless a filter is against it.

        Raises InvalidDicom, MissingTag, ScriptFailed (a filter failed), StorageFull, Busy; nothing is stored then, except that
        after Busy it may be.
        """
        started = time.perf_counter()
        result = "Refused"
        try:
            stored = self._store()
            result = stored.status
            return stored
        finally:
            self.discard()
            took_s = time.perf_counter() - started
            metrics.RECEIVED.add(1, result)
            metrics.RECEIVED_BYTES.add(self._received_bytes)
            metrics.STORE_SECONDS.observe(took_s)
            metrics.LONGEST_STORE.observe(took_s)

    def _store(self) -> StoreResult:
        self.judge()
        summary, judgement = self._judged or (self._summarize(), None)
        if judgement is not None and not judgement.is_accepted:
            logger.info("An incoming instance has been discarded by the filter")
            return StoreResult("FilteredOut", summary, judgement.dimse_status)
        if self._is_known(summary):
            return self._already_stored(summary)
        if self._writer is None:
            status = self._store_small(summary)
        else:
            _commit(self._writer, sync=self._settings.sync)
            status = self._index(summary, self._writer, self._hash.digest() if self._hash else b"")
        if status == "Success":
            return StoreResult(status, summary)
        if not self._is_known(summary):
            raise Busy("another upload of this instance has not succeeded yet; send it again")
        return self._already_stored(summary)

    def _ask_filters(self, summary: Summary) -> Judgement:
        encoding = self._settings.default_encoding
        with self._content() as data:
            file = ReceivedFile(data, summary.transfer_syntax, encoding)
            return self._ingest.filters.judge_received(file, self._origin, self._correlation)

    def _already_stored(self, summary: Summary) -> StoreResult:
        """Tell scripts that want to hear of it; nobody else is told."""
        if self._ingest.filters.hears_of_duplicates:
            with contextlib.suppress(NotFound):  # deleted in this moment
                self._ingest.index.note_duplicate(summary.ids.instance, self._origin, self._correlation)
        return StoreResult("AlreadyStored", summary)

    def _store_small(self, summary: Summary) -> str:
        """Store what is in memory: while the disk makes it durable, hash it and ask the index."""
        data = self._chunks[0]
        writer = self._spill()
        wait_until_durable = self._ingest.start_commit(writer, sync=self._settings.sync)
        try:
            # Without a digest nobody could tell after a power cut whether it was; and what heals is never retracted.
            if not self._settings.hash or self._heals:
                wait_until_durable()
            md5 = _md5(data) if self._settings.hash else b""
            status = self._index(summary, writer, md5)
        except BaseException:
            with contextlib.suppress(Exception):  # the first error counts
                wait_until_durable()
            raise
        try:
            wait_until_durable()
        except BaseException:
            self._take_back(writer)
            raise
        return status

    def _take_back(self, writer: BlobWriter) -> None:
        """Have the index forget an instance whose file is not durable; nobody was told that it is stored."""
        is_gone = writer.discard()  # at once: whoever is sent the same instance now must not rely on it
        self._is_clear = False
        try:
            self._ingest.index.retract(writer.blob)
        except SinogramError as exc:  # its folder keeps the lease, and the next start retracts it
            logger.error("ingest.not-retracted error=%s", exc)
        else:
            self._is_clear, self._is_kept = is_gone, False

    def _index(self, summary: Summary, writer: BlobWriter, md5: bytes) -> str:
        """Have the index add the instance; returns "Success" or "AlreadyStored"."""
        command = self._command(summary, writer, md5)
        self._is_clear = False
        try:
            status = self._ingest.index.store_instance(command)
        except SinogramError as exc:
            # Busy from a silent core leaves the outcome open; any other refusal came from the index itself.
            self._is_clear = isinstance(exc, FolderRevoked) or not isinstance(exc, Busy)
            raise
        self._is_clear = True
        self._is_kept = status == "Success"
        return status

    def _summarize(self) -> Summary:
        """Parse the file, once: what this says is what is filtered, indexed and answered, and of what is kept."""
        encoding, announced = self._settings.default_encoding, self._announced
        if announced is None:
            with self._content() as data:
                return summarize(data, default_encoding=encoding)
        with self._content() as data:
            summary = read_clean(data, self._head_bytes, announced, encoding)
        if summary is None:
            self._trim(self._head_bytes, announced)
            with self._content() as data:
                summary = summarize(data, default_encoding=encoding)
        announced.must_agree(summary)
        return summary

    def _trim(self, start: int, announced: Announced) -> None:
        """Keep nothing but a file's head, which ends at `start`, and its dataset."""
        with self._content() as data:
            trimmed = trim(data, start, announced)
            if trimmed is None:
                return
            if self._writer is None:
                self._chunks = [b"".join(trimmed.parts(data))]
                return
            if not trimmed.ends_early:
                self._write_anew(trimmed.parts(data))
        if trimmed.ends_early:
            self._writer.truncate(trimmed.end)
        if self._hash is not None:
            with self._content() as data:
                self._hash = hashlib.md5(data, usedforsecurity=False)

    def _write_anew(self, parts: Iterable[bytes]) -> None:
        """Write what is kept to another blob."""
        old, self._writer = self._writer, self._ingest.folders.create()
        try:
            for part in parts:
                self._writer.write(part)
        finally:
            if old is not None:
                self._ingest.folders.release(old.folder, is_clear=old.discard())

    @contextlib.contextmanager
    def _content(self) -> Iterator[Buffer]:
        """Give the whole file: what is in memory, else a map of the blob."""
        if self._writer is None:
            data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._chunks = [data]
            yield data
            return
        with mmap.mmap(self._writer.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            yield mapped

    def _is_known(self, summary: Summary) -> bool:
        """Tell whether the archive has the instance, durably."""
        with self._ingest.views.snapshot() as snapshot:
            known = snapshot.get_instance(summary.ids.instance)
            may_be_on_its_way = known is not None and snapshot.is_leased(folder_number(known.blob))
        if known is None or not self._is_whole(known):
            return False
        if not may_be_on_its_way or not self._settings.sync:
            return True
        # Its own upload may still wait for the disk. Ours is not acknowledged on the strength of that.
        try:
            self._ingest.blobs.sync(known.blob)
        except OSError:
            return False
        with self._ingest.views.snapshot() as snapshot:
            still = snapshot.get_instance(summary.ids.instance)
        return still is not None and still.blob == known.blob

    def _is_whole(self, known: Instance) -> bool:
        """Tell whether the file of this instance is what was stored; one that is not, ours is to replace."""
        self._heals = BlobId(b"")
        try:
            # Sent as it was before, as a rule: what is in memory is compared with the file.
            self._ingest.blobs.check_instance(known, self._chunks[0] if len(self._chunks) == 1 else b"")
        except FileNotFoundError:  # the instance was deleted, or healed by another upload, in this moment
            return False
        except DamagedFile:
            self._heals = known.blob
            return False
        return True

    def _command(self, summary: Summary, writer: BlobWriter, md5: bytes) -> StoreInstance:
        return StoreInstance(
            patient=summary.ids.patient,
            study=summary.ids.study,
            series=summary.ids.series,
            id=summary.ids.instance,
            tags=summary.tags[Level.INSTANCE],
            tags_above={int(level): summary.tags[level] for level in (Level.PATIENT, Level.STUDY, Level.SERIES)},
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
            heals=self._heals,
            **self._origin.facts(),
        )

    def discard(self) -> None:
        """Forget the upload; its file goes, unless the index may have taken it."""
        self._chunks = []
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if self._is_clear and not self._is_kept:
            self._is_clear = writer.discard()
        self._ingest.folders.release(writer.folder, is_clear=self._is_clear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.discard()


def _commit(writer: BlobWriter, *, sync: bool) -> None:
    started = time.perf_counter()
    writer.commit(sync=sync)
    metrics.LONGEST_WRITE.observe(time.perf_counter() - started)
    metrics.WRITTEN_BYTES.add(writer.size_bytes)


def _md5(data: bytes | memoryview) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
