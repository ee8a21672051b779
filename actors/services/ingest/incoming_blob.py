"""Bytes become a durable blob, whatever they are: the file of an instance, the output of a job.

A few bytes stay in memory and touch the disk only when an event is about to refer to them. More bytes go to their blob as they
come. A command to the index that refers to a blob is answered when both the blob and the event are durable. For a small blob the
two syncs run side by side, which saves one of the three waits for the disk. If the blob's sync fails, or a power cut comes between the
two, the event is taken back (by us, or by the sweep at the next start): it was visible for a moment, and never acknowledged.
"""

import contextlib
import hashlib
import mmap
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

from actors.messages.index_client import IndexClient
from actors.services.ingest.folders import BlobFolders
from actors.wire import metrics
from events.errors import Busy, FolderRevoked, SinogramError
from events.identifiers import BlobId
from events.stored_file import Compression, PlainFile
from store.blobs.packed import pack
from store.blobs.store import BlobStore
from store.blobs.writer import NOWHERE, BlobWriter, make_blob_id
from store.dicom.elements import Buffer

# Above this bytes are written to disk as they come. 50 HTTP threads then hold at most 50 MB.
SPILL_BYTES: Final = 1 << 20
# Empty files kept ready. Creating one and making its name durable took 0.25 ms of the 2.7 ms of a store.
FILES_AHEAD: Final = 32
# Files being synced at once. Each thread does nothing but wait for the disk.
SYNC_THREADS: Final = 16


# Makes something refer to a file; returns whether it does. Raises SinogramError.
Refer = Callable[[PlainFile], bool]


class DurableBlobs:
    """Where a process puts what is to be kept: the folders leased to it, and the syncs under way. Thread-safe."""

    def __init__(self, index: IndexClient, blobs: BlobStore, owner: str, *, sync: bool) -> None:
        self.folders = BlobFolders(index, blobs, owner, sync=sync, ahead=FILES_AHEAD)
        self.remember_written = blobs.remember_written
        self._syncing = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="ingest-sync")

    def start_commit(self, writer: BlobWriter, *, sync: bool) -> Callable[[], None]:
        """Begin to make a blob durable; the returned function waits until it is, and raises StorageFull."""
        if sync:
            with contextlib.suppress(RuntimeError):  # closed: this upload is one of the last
                return self._syncing.submit(_commit, writer, sync=True).result
        return cache(lambda: _commit(writer, sync=sync))  # a second wait neither commits nor counts again

    def close(self) -> None:
        self._syncing.shutdown()
        self.folders.close()


class IncomingBlob:
    """Bytes on their way in. Not thread-safe."""

    def __init__(self, place: DurableBlobs, *, sync: bool, digest: bool, compress: bool = False) -> None:
        """`digest` has their MD5 computed; `compress` has them lie there as a zlib stream."""
        self._place = place
        self._sync = sync
        self._digest = digest
        self._compression = Compression.ZLIB if compress else Compression.NONE
        self._chunks: list[bytes | memoryview] = []
        self._writer: BlobWriter | None = None
        self._hash: Any = None  # of a blob that is on disk, as far as it came
        self._is_clear = True  # False once somebody may refer to the blob without our knowing
        self._is_kept = False  # True once somebody refers to it
        self.received_bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes; a memoryview is copied if it must be kept. Raises StorageFull."""
        self.received_bytes += len(data)
        if self._writer is not None:
            self._writer.write(data)
            if self._hash is not None:
                self._hash.update(data)
            return
        self._chunks.append(data if isinstance(data, bytes) else bytes(data))
        if self.received_bytes > SPILL_BYTES:
            if self._digest:
                self._hash = _md5(b"".join(self._chunks))
            self._spill()

    @property
    def in_memory(self) -> bytes | memoryview:
        """All bytes if they are in memory as one piece, else nothing."""
        return self._chunks[0] if len(self._chunks) == 1 else b""

    @contextlib.contextmanager
    def content(self) -> Iterator[Buffer]:
        """Give all of it: what is in memory, else a map of the blob."""
        if self._writer is None:
            yield self._join()
            return
        with mmap.mmap(self._writer.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            yield mapped

    def reopener(self) -> Callable[[], BinaryIO] | None:
        """Return how what `content` gives can be opened once more; None while it is in memory."""
        if self._writer is None:
            return None
        place = Path(f"/proc/self/fd/{self._writer.fileno()}")
        return lambda: place.open("rb")

    def cut(self, end: int) -> None:
        """Keep nothing beyond `end`."""
        if self._writer is None:
            self._chunks = [self._join()[:end]]
            return
        self._writer.truncate(end)
        self._digest_again()

    def replace(self, parts: Iterable[bytes]) -> None:
        """Keep parts of the content, or others, instead of it."""
        if self._writer is None:
            self._chunks = [b"".join(parts)]
            return
        self._rewrite(parts)
        self._digest_again()

    def _rewrite(self, parts: Iterable[bytes], told: Callable[[bytes], None] | None = None) -> BlobWriter:
        """Write parts to another blob, which takes the place of the one on disk; `told` is told each."""
        old, self._writer = self._writer, self._place.folders.create()
        assert old is not None
        try:
            for part in parts:
                self._writer.write(part)
                if told is not None:
                    told(part)
        finally:
            self._place.folders.release(old.folder, is_clear=old.discard())
        return self._writer

    def describe(self) -> PlainFile:
        """Return what there is to say of bytes that are not to be kept, under a name that no file has."""
        with self.content() as data:
            md5 = hashlib.md5(data, usedforsecurity=False).digest() if self._digest else b""
            return PlainFile(blob=make_blob_id(NOWHERE, 0), size_bytes=len(data), md5=md5)

    def keep(self, refer: Refer, take_back: Callable[[BlobId], bool], *, beside: bool = True) -> bool:
        """Make the blob durable and let `refer` refer to it; returns whether something does.

        `take_back` removes the reference if the blob did not become durable, and tells whether it could. Without `beside`, or without
        a digest (which shows what a power cut has done), nothing refers to the blob before it is durable. Raises StorageFull, StorageFailed, and whatever `refer` does.
        """
        if self._writer is not None:
            return self._keep_spilled(refer, self._writer)
        data = self._join()
        lying = b"".join(pack(data)) if self._compression else data
        self._chunks = [lying]
        writer = self._spill()
        wait_until_durable = self._place.start_commit(writer, sync=self._sync)
        try:
            if not self._digest or not beside:
                wait_until_durable()
            md5 = _md5(data).digest() if self._digest else b""
            packed_md5 = _md5(lying).digest() if self._digest and self._compression else b""
            if self._digest:
                self._place.remember_written(writer.blob, lying)
            is_kept = self._refer(refer, writer, len(data), md5, packed_md5)
        except BaseException:
            with contextlib.suppress(Exception):  # the first error counts
                wait_until_durable()
            raise
        try:
            wait_until_durable()
        except BaseException:
            is_gone = writer.discard()  # at once: another sender of the same instance must not rely on it
            self._is_clear = False
            if take_back(writer.blob):
                self._is_clear, self._is_kept = is_gone, False
            raise
        return is_kept

    def _keep_spilled(self, refer: Refer, writer: BlobWriter) -> bool:
        size_bytes = writer.size_bytes
        packed = _md5()
        if self._compression:
            with self.content() as data, contextlib.closing(pack(data)) as parts:
                writer = self._rewrite(parts, packed.update if self._digest else None)
        _commit(writer, sync=self._sync)
        packed_md5 = packed.digest() if self._digest and self._compression else b""
        return self._refer(refer, writer, size_bytes, self._hash.digest() if self._hash else b"", packed_md5)

    def discard(self) -> None:
        """Forget the bytes; their file goes, unless somebody refers to it, or may do so."""
        self._chunks = []
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if self._is_clear and not self._is_kept:
            self._is_clear = writer.discard()
        self._place.folders.release(writer.folder, is_clear=self._is_clear)

    def _refer(self, refer: Refer, writer: BlobWriter, size_bytes: int, md5: bytes, packed_md5: bytes) -> bool:
        file = PlainFile(
            blob=writer.blob,
            size_bytes=size_bytes,
            md5=md5,
            compression=self._compression,
            packed_bytes=writer.size_bytes if self._compression else 0,
            packed_md5=packed_md5,
        )
        self._is_clear = False
        try:
            self._is_kept = refer(file)
        except SinogramError as exc:
            # Busy from a silent core leaves the outcome open; any other refusal came from the index itself.
            self._is_clear = isinstance(exc, FolderRevoked) or not isinstance(exc, Busy)
            raise
        self._is_clear = True
        return self._is_kept

    def _join(self) -> bytes | memoryview:
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def _spill(self) -> BlobWriter:
        """Start the blob with what is in memory."""
        chunks, self._chunks = self._chunks, []
        self._writer = self._place.folders.create()
        for chunk in chunks:
            self._writer.write(chunk)
        return self._writer

    def _digest_again(self) -> None:
        if self._hash is not None:
            with self.content() as data:
                self._hash = _md5(data)


def _md5(data: Buffer = b"") -> Any:
    return hashlib.md5(data, usedforsecurity=False)


def _commit(writer: BlobWriter, *, sync: bool) -> None:
    started = time.perf_counter()
    writer.commit(sync=sync)
    metrics.LONGEST_WRITE.observe(time.perf_counter() - started)
    metrics.WRITTEN_BYTES.add(writer.size_bytes)
