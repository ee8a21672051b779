"""Blob folders leased to this process, and files kept ready in them.

A file's name must be durable before the event that refers to it. Syncing the folder for each file costs one commit of
the file system's journal a store, so a thread creates some empty files ahead, syncs the folder once for all of them,
and a store that takes one has only its bytes to make durable. Empty files that a crash leaves behind go with the sweep
of the leased folder; those left at a stop are removed by `close`.
"""

import logging
import threading
from collections import deque

from actors.messages.index_client import IndexClient
from events.errors import SinogramError, StorageFailed
from store.blobs.store import FOLDER_FILES, BlobStore
from store.blobs.writer import BlobWriter, make_blob_id, sync_path

logger = logging.getLogger(__name__)


class BlobFolders:
    """Gives out blobs to write into. Thread-safe; one per process."""

    def __init__(self, index: IndexClient, blobs: BlobStore, owner: str, *, sync: bool, ahead: int = 0) -> None:
        """`ahead` files are kept ready; with 0 each is created when it is asked for."""
        self._index = index
        self._blobs = blobs
        self._owner = owner
        self._sync = sync
        self._ahead = ahead
        self._lock = threading.Lock()
        self._folder = -1
        self._places = 0
        self._writing: dict[int, int] = {}  # folder -> files under way or ready in it
        self._tainted: set[int] = set()  # folders in which an upload ended without a clear answer
        self._ready: deque[BlobWriter] = deque()
        self._closing = threading.Event()
        self._low = threading.Event()
        self._thread: threading.Thread | None = None

    def create(self) -> BlobWriter:
        """Give out an empty blob. Raises StorageFull, StorageFailed, Busy."""
        if not self._ahead:
            return self._make(1)[0]
        try:
            writer = self._ready.popleft()
        except IndexError:
            writer = self._make(1)[0]
        if len(self._ready) < self._ahead // 2:
            self._start_filling()
        return writer

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
            self._retire(folder)

    def _retire(self, folder: int) -> None:
        """Give a folder back; one that the index does not take now (full disk, no core) is swept at the next start."""
        try:
            if self._sync:  # a removed file must not come back after a power cut: no later sweep would look for it
                self._blobs.sync_folder(folder)
            self._index.retire_folder(folder)
        except (SinogramError, OSError) as exc:
            logger.info("folders.kept folder=%d error=%s", folder, exc)

    def close(self) -> None:
        """Remove what was kept ready and give the folder back, if nothing is under way in it."""
        self._closing.set()
        if self._thread is not None:
            self._low.set()
            self._thread.join()
        while self._ready:
            writer = self._ready.popleft()
            self.release(writer.folder, is_clear=writer.discard())
        with self._lock:
            folder, self._folder = self._folder, -1
            if folder < 0 or self._writing.get(folder) or folder in self._tainted:
                return  # the last upload under way gives it back
        self._retire(folder)

    # -- making files -----------------------------------------------------------------------------------------------

    def _make(self, count: int) -> list[BlobWriter]:
        """Create up to `count` files in one folder. Raises StorageFull, StorageFailed, Busy."""
        try:
            return self._make_here(count)
        except StorageFailed as exc:
            if not isinstance(exc.__cause__, FileNotFoundError | NotADirectoryError) or not self._leave_lost():
                raise
        return self._make_here(count)

    def _leave_lost(self) -> bool:
        """Give up the present folder if somebody has removed it; its lease stays for a sweep. Tells whether it was so."""
        with self._lock:
            lost = self._folder
            if lost < 0 or self._blobs.folder(lost).is_dir():
                return lost < 0
            logger.error("folders.lost folder=%d: it is gone, and so are the files in it", lost)
            self._tainted.add(lost)
            self._folder = -1
        return True

    def _make_here(self, count: int) -> list[BlobWriter]:
        with self._lock:
            if self._folder < 0 or self._places >= FOLDER_FILES:
                self._lease()
            folder, first = self._folder, self._places
            count = min(count, FOLDER_FILES - first)
            self._places += count
            self._writing[folder] = self._writing.get(folder, 0) + count
        writers: list[BlobWriter] = []
        try:
            for place in range(first, first + count):
                blob = make_blob_id(folder, place)
                writers.append(BlobWriter(self._blobs.path(blob), blob))
        except BaseException:
            for writer in writers:
                self.release(folder, is_clear=writer.discard())
            for _ in range(count - len(writers)):
                self.release(folder, is_clear=True)
            raise
        return writers

    def _lease(self) -> None:
        """Take the next folder; the one before goes back as soon as nothing is under way in it."""
        previous = self._folder
        folder = self._open()
        self._folder, self._places = folder, 0
        if previous >= 0 and not self._writing.get(previous) and previous not in self._tainted:
            self._writing.pop(previous, None)
            self._retire(previous)

    def _open(self) -> int:
        """Lease folders until one is new: an index put back from a copy leads to folders that hold later files."""
        while True:
            folder = self._index.open_folder(self._owner)
            try:
                self._blobs.make_folder(folder, sync=self._sync)
            except FileExistsError:
                self._index.retire_folder(folder)  # never to be swept
            except BaseException:
                self._retire(folder)
                raise
            else:
                return folder

    def _start_filling(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closing.is_set():
                    self._thread = threading.Thread(target=self._fill, name="blob-files", daemon=True)
                    self._thread.start()
        self._low.set()

    def _fill(self) -> None:
        while not self._closing.is_set():
            self._low.wait()
            self._low.clear()
            if self._closing.is_set():
                return
            missing = self._ahead - len(self._ready)
            if missing <= 0:  # woken once more than there was need
                continue
            try:
                writers = self._make(missing)
                self._make_names_durable(writers)
            except (SinogramError, OSError) as exc:
                # The next caller creates a file for itself and meets the same error, where it can be answered.
                logger.warning("folders.cannot-prepare error=%s", exc)
                continue
            self._ready.extend(writers)

    def _make_names_durable(self, writers: list[BlobWriter]) -> None:
        """Sync the folder of some new files; they are gone if that fails."""
        try:
            if self._sync:
                sync_path(writers[0].path.parent)
        except OSError:
            for writer in writers:
                self.release(writer.folder, is_clear=writer.discard())
            raise
        for writer in writers:
            writer.is_name_durable = True
