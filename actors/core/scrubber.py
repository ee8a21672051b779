"""The scrubber: reads every file of the archive again, slowly, so that damage is found while somebody still has the instance.

Readers compare only the digests of small files. Larger files, and files without readers, would rot unseen. Files are read in the
order in which their instances came, then those of other attachments, a piece a step, at a limited rate; at a tenth of it while the log grows, because somebody sends then.
The next lap begins a day after the last one began. Damage is reported as by any reader.

The scrubber's position is in a file of the index folder, written now and then and not synced: a lost position
only costs reading.
"""

import contextlib
import hashlib
import logging
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from actors.messages.index_client import IndexClient
from events.errors import SinogramError, StorageFailed
from events.identifiers import Ref, Seq
from store.blobs.damage import Damage, Damaged, Kind, open_file, raise_damaged
from store.blobs.store import BlobStore
from store.blobs.writer import open_private
from store.log import read_end
from store.tables import DAMAGED_FILES, U64, attachment_key, is_attachment_key, key, read_attachment_key
from store.views.files import OwnedFile, list_owners, owner_of, read_owned
from store.views.views import Views

logger = logging.getLogger(__name__)

PIECE_BYTES = 1 << 20  # read in one step: 2 ms of digest
LEAST_BYTES = 64 << 10  # what the smallest file counts for: opening it costs, too
BESIDE_OTHERS = 10.0  # slower by this factor while the log grows
FIRST_REST_S = 60.0  # a start has other things to do
LAP_S = 86_400.0  # at least, from the beginning of one lap to that of the next
FAILURE_REST_S = 600.0  # after the storage folder was not there, or the process was short of something
SAVED_EVERY_S = 60.0
MOST = (1 << 63) - 1  # beyond any ref


@dataclass(slots=True)
class _Reading:
    """A file, as far as it was read."""

    file: OwnedFile
    opened: FileIO
    found_bytes: int = 0
    digest: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))


class Scrubber:
    """Takes its steps when it is told to. Not thread-safe."""

    def __init__(
        self,
        index: IndexClient,
        views: Views,
        blobs: BlobStore,
        position: Path,
        bytes_per_s: int,
        clock: Callable[[], float],
    ) -> None:
        self._index = index
        self._views = views
        self._blobs = blobs
        self._position = position
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._after = _load(position)  # who has the last file that is dealt with; empty before the first
        self._reading: _Reading | None = None
        self._end: Seq | None = None  # of the log, at the last step
        self._lap_began = self._saved = clock()

    def first_due(self) -> float | None:
        """Return when to take the first step; None for never."""
        return self._clock() + FIRST_REST_S if self._bytes_per_s else None

    def step(self) -> float:
        """Read one piece; returns when to take the next step."""
        now = self._clock()
        try:
            read_bytes = self._read()
        except (SinogramError, OSError, KeyError) as exc:  # what ended this actor would end the server
            logger.warning("scrub.postponed error=%s", exc)
            self._let_go()
            return now + FAILURE_REST_S
        if read_bytes is None:
            return self._end_lap(now)
        if now >= self._saved + SAVED_EVERY_S:
            self.save()
        slower = BESIDE_OTHERS if self._has_log_grown() else 1.0
        return now + max(read_bytes, LEAST_BYTES) / self._bytes_per_s * slower

    def save(self) -> None:
        """Write down where it is."""
        self._saved = self._clock()
        try:
            with open_private(self._position) as file:
                file.write(b"%s\n" % _describe(self._after))
        except OSError as exc:  # the next run reads some files again
            logger.info("scrub.not-saved error=%s", exc.strerror)

    def close(self) -> None:
        self._let_go()
        if self._bytes_per_s:
            self.save()

    def _end_lap(self, now: float) -> float:
        self._after = b""
        self.save()
        began, self._lap_began = self._lap_began, max(now, self._lap_began + LAP_S)
        return max(now + LEAST_BYTES / self._bytes_per_s, began + LAP_S)

    def _has_log_grown(self) -> bool:
        with self._views.snapshot() as snapshot:
            end = read_end(snapshot.txn, snapshot.tables)[0]
        before, self._end = self._end, end
        return before is not None and end != before

    # -- one file after the other --------------------------------------------------------------------------------------

    def _read(self) -> int | None:
        """Read a piece of the present file or of the next one; returns its size, None if there is no file left.

        Raises OSError, StorageFailed, where nothing can be said of the file now.
        """
        reading = self._reading
        file = reading.file if reading else self._next()
        if file is None:
            return None
        try:
            if reading is None:
                opened = open_file(self._blobs.path(file.blob), file)
                reading = self._reading = _Reading(file, opened)
            return self._read_piece(reading)
        except Damaged as exc:
            told = self._blobs.tell(exc.damage)
            if isinstance(told, StorageFailed):
                raise told from exc
            self._pass(owner_of(file))
            return 0

    def _next(self) -> OwnedFile | None:
        with self._views.snapshot() as snapshot:
            for owner in list_owners(snapshot, self._after):
                before, self._after = self._after, owner  # a row that cannot be read is passed over
                file = read_owned(snapshot, owner)
                self._after = before
                if file is not None:
                    return file
        return None

    def _read_piece(self, reading: _Reading) -> int:
        """Raises Damaged, OSError."""
        file = reading.file
        if file.disk_md5 and (piece := self._take(reading)):
            reading.digest.update(piece)
            reading.found_bytes += len(piece)
            if reading.found_bytes < file.disk_bytes:
                return len(piece)
        if file.disk_md5 and reading.found_bytes != file.disk_bytes:
            kind = Kind.TRUNCATED if reading.found_bytes < file.disk_bytes else Kind.OVERLONG
            raise Damaged(Damage(file.blob, kind, reading.found_bytes))
        if file.disk_md5 and reading.digest.digest() != file.disk_md5:
            raise Damaged(Damage(file.blob, Kind.ALTERED, reading.found_bytes))
        self._note_whole(file)
        return min(reading.found_bytes, PIECE_BYTES)

    def _take(self, reading: _Reading) -> bytes:
        """Read on. The pages do not stay in memory: others need the room, and the next lap has to read the disk itself."""
        fd, start = reading.opened.fileno(), reading.found_bytes
        try:
            piece = os.pread(fd, PIECE_BYTES, start)
        except OSError as exc:
            raise_damaged(exc, reading.file.blob)
            raise
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, start, len(piece), os.POSIX_FADV_DONTNEED)
        return piece

    def _note_whole(self, file: OwnedFile) -> None:
        """Raises SinogramError."""
        self._pass(owner_of(file))
        with self._views.snapshot() as snapshot:
            is_listed = snapshot.row(DAMAGED_FILES, owner_of(file)) is not None
        if is_listed:
            self._index.report_recovery(file.blob)

    def _pass(self, owner: bytes) -> None:
        self._let_go()
        self._after = owner

    def _let_go(self) -> None:
        if self._reading is not None:
            self._reading.opened.close()
            self._reading = None


def _describe(owner: bytes) -> bytes:
    """Return a position as text: the ref of an instance, or ref and number of an attachment; 0 before the first."""
    if is_attachment_key(owner):
        return b"%d %d" % read_attachment_key(owner)
    return b"%d" % (U64.unpack(owner)[0] if owner else 0)


def _load(position: Path) -> bytes:
    try:
        ref, *number = (int(word) for word in position.read_bytes()[:40].split())
        ref = min(max(0, ref), MOST)
        return attachment_key(Ref(ref), *number) if number else key(ref)
    except (OSError, ValueError, TypeError, struct.error):
        return b""
