"""The scrubber: reads every file of the archive again, slowly, so that damage is found while somebody still has the instance.

Readers compare only the digests of small files. Larger files, and files without readers, would rot unseen. Files are read in the
order in which their instances came, a piece a step, at a limited rate; at a tenth of it while the log grows, because somebody sends then.
The next lap begins a day after the last one began. Damage is reported as by any reader.

The scrubber's position is in a file of the index folder, written now and then and not synced: a lost position
only costs reading.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from actors.messages.index_client import IndexClient
from events.errors import SinogramError, StorageFailed
from events.identifiers import Level, Ref, Seq
from store.blobs.damage import Damage, Damaged, Kind, open_file, raise_damaged
from store.blobs.store import BlobStore
from store.blobs.writer import open_private
from store.log import read_end
from store.records import Instance
from store.tables import DAMAGED_FILES, key
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

    instance: Instance
    file: FileIO
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
        self._after = _load(position)  # the last instance that is dealt with; 0 before the first
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
                file.write(b"%d\n" % self._after)
        except OSError as exc:  # the next run reads some files again
            logger.info("scrub.not-saved error=%s", exc.strerror)

    def close(self) -> None:
        self._let_go()
        if self._bytes_per_s:
            self.save()

    def _end_lap(self, now: float) -> float:
        self._after = Ref(0)
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
        instance = reading.instance if reading else self._next()
        if instance is None:
            return None
        try:
            if reading is None:
                opened = open_file(self._blobs.path(instance.blob), instance)
                reading = self._reading = _Reading(instance, opened)
            return self._read_piece(reading)
        except Damaged as exc:
            told = self._blobs.tell(exc.damage)
            if isinstance(told, StorageFailed):
                raise told from exc
            self._pass(instance.ref)
            return 0

    def _next(self) -> Instance | None:
        with self._views.snapshot() as snapshot:
            for ref in snapshot.list_refs(Level.INSTANCE, limit=1, after=self._after):
                before, self._after = self._after, ref  # a row that cannot be read is passed over
                record = snapshot.get_ref(Level.INSTANCE, ref)
                self._after = before
                if isinstance(record, Instance):
                    return record
        return None

    def _read_piece(self, reading: _Reading) -> int:
        """Raises Damaged, OSError."""
        instance = reading.instance
        if instance.md5 and (piece := self._take(reading)):
            reading.digest.update(piece)
            reading.found_bytes += len(piece)
            if reading.found_bytes < instance.size_bytes:
                return len(piece)
        if instance.md5 and reading.found_bytes != instance.size_bytes:
            kind = Kind.TRUNCATED if reading.found_bytes < instance.size_bytes else Kind.OVERLONG
            raise Damaged(Damage(instance.blob, kind, reading.found_bytes))
        if instance.md5 and reading.digest.digest() != instance.md5:
            raise Damaged(Damage(instance.blob, Kind.ALTERED, reading.found_bytes))
        self._note_whole(instance)
        return min(reading.found_bytes, PIECE_BYTES)

    def _take(self, reading: _Reading) -> bytes:
        """Read on. The pages do not stay in memory: others need the room, and the next lap has to read the disk itself."""
        fd, start = reading.file.fileno(), reading.found_bytes
        try:
            piece = os.pread(fd, PIECE_BYTES, start)
        except OSError as exc:
            raise_damaged(exc, reading.instance.blob)
            raise
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, start, len(piece), os.POSIX_FADV_DONTNEED)
        return piece

    def _note_whole(self, instance: Instance) -> None:
        """Raises SinogramError."""
        self._pass(instance.ref)
        with self._views.snapshot() as snapshot:
            is_listed = snapshot.row(DAMAGED_FILES, key(instance.ref)) is not None
        if is_listed:
            self._index.report_recovery(instance.blob)

    def _pass(self, ref: Ref) -> None:
        self._let_go()
        self._after = ref

    def _let_go(self) -> None:
        if self._reading is not None:
            self._reading.file.close()
            self._reading = None


def _load(position: Path) -> Ref:
    try:
        return Ref(min(max(0, int(position.read_bytes()[:20])), MOST))
    except (OSError, ValueError):
        return Ref(0)
