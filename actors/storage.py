"""Storage: removes the files that nothing refers to any more.

Owns the removal of blobs: condemned ones (deleted instances) after the deletion is durable and every durable consumer
of the log has passed it, and those that a writer which died left in its leased folders. Reads snapshots, asks the
index to forget what it has removed. A file that cannot be removed stays condemned and is tried again at the next
deletion or start. While files wait for a consumer that lags behind, it is looked after them now and then.

A small file is synced while its event is committed (`actors.ingest`), so after a power cut the log may know instances
whose files never reached the disk. Nobody was told that they are stored. They lie in leased folders, so the sweep finds
them by their MD5 and asks the index to retract them; what it keeps it makes durable before it gives the lease back.
"""

import contextlib
import hashlib
import logging
import os
import time
from pathlib import Path
from typing import Any

import pykka

from actors.alarm import Alarm
from actors.index.client import IndexClient
from events.errors import SinogramError
from events.identifiers import BlobId, Level, Ref
from store.blobs.store import BlobStore, folder_number
from store.records import Instance
from store.tables import BLOBS, CONDEMNED, CURSORS, LEASES, U64
from store.views.callbacks import list_waiting
from store.views.snapshot import Snapshot
from store.views.views import Views

logger = logging.getLogger(__name__)

REMOVE = "remove"  # message: there are condemned blobs
HELD_BACK_S = 5.0  # between two looks at what waits for a consumer; a look at 100,000 files takes some 0.1 s
REMOVALS_PER_STEP = 500  # files per message: some 20 ms, so that a sweep does not wait long behind a deletion


class Storage(pykka.ThreadingActor):
    """See the module's text. Messages: REMOVE, ("remove", after which blob) ("sweep", folders) or ("sweep after power cut", folders)."""

    use_daemon_thread = True

    def __init__(self, index: IndexClient, views: Views, blobs: BlobStore) -> None:
        super().__init__()
        self._index = index
        self._views = views
        self._blobs = blobs
        self._alarm = Alarm("storage-alarm", self._remind, time.monotonic)

    def on_stop(self) -> None:
        self._alarm.stop()

    def on_receive(self, message: Any) -> Any:
        try:
            match message:
                case ("sweep", list(folders)):
                    return self._sweep(folders, verify=False)
                case ("sweep after power cut", list(folders)):
                    return self._sweep(folders, verify=True)
                case ("remove", bytes(after)):
                    self._remove_condemned(after)
                case _:
                    self._remove_condemned(b"")
        except SinogramError as exc:
            # What was not done now is in the tables still, and is done at the next occasion or start.
            logger.warning("storage.postponed error=%s", exc)
        return None

    def _remove_condemned(self, after: bytes) -> None:
        with self._views.snapshot() as snapshot:
            passed = _passed_by_all(snapshot)
            found = []
            is_held_back = False
            for blob in snapshot.keys(CONDEMNED, b"", after + b"\0"):
                if U64.unpack(snapshot.row(CONDEMNED, blob) or bytes(8))[0] <= passed:
                    found.append(BlobId(blob))
                else:
                    is_held_back = True
                if len(found) == REMOVALS_PER_STEP:
                    break
        if is_held_back:
            self._alarm.set(time.monotonic() + HELD_BACK_S)
        removed = [blob for blob in found if self._remove(blob)]
        if removed and self._make_durable({folder_number(blob) for blob in removed}):
            self._index.forget_condemned(removed)
        if len(found) == REMOVALS_PER_STEP:
            self.actor_ref.tell(("remove", found[-1]))

    def _remind(self) -> None:
        with contextlib.suppress(pykka.ActorDeadError):  # the alarm of an actor that is stopping
            self.actor_ref.tell(REMOVE)

    def _remove(self, blob: BlobId) -> bool:
        try:
            self._blobs.remove(blob)
        except OSError as exc:
            logger.error("storage.cannot-remove error=%s", exc.strerror)
            return False
        return True

    def _make_durable(self, folders: set[int]) -> bool:
        """See to it that removed files stay removed after a power cut, when no table names them any more."""
        try:
            for folder in folders:
                self._blobs.sync_folder(folder)
        except OSError as exc:
            logger.error("storage.cannot-sync error=%s", exc.strerror)
            return False
        return True

    def _retract_damaged(self, folder: int) -> None:
        """Remove the instances whose files in a folder are not what their events say; such files are laid aside."""
        with self._views.snapshot() as snapshot:
            owned = [
                (BlobId(blob), Ref(U64.unpack(snapshot.row(BLOBS, blob) or bytes(8))[0]))
                for blob in snapshot.keys(BLOBS, folder.to_bytes(6, "big"))
            ]
        for blob, ref in owned:
            with self._views.snapshot() as snapshot:
                try:
                    instance = snapshot.get_ref(Level.INSTANCE, ref)
                except KeyError:  # deleted meanwhile
                    continue
            if isinstance(instance, Instance) and not _is_whole(self._blobs.path(blob), instance):
                logger.error("storage.retracted ref=%d: the power cut came before its file was on disk", ref)
                self._blobs.lay_aside(blob)
                self._index.retract(blob)

    def _sweep(self, folders: list[int], *, verify: bool) -> int:
        """Remove what no event refers to from folders whose writers are gone, and retire them; returns how many."""
        count = 0
        if folders:
            os.sync()  # of the files that stay, some may not have been synced by their writers
        for folder in folders:
            if verify:
                self._retract_damaged(folder)
            names = list(self._blobs.list_folder(folder))
            with self._views.snapshot() as snapshot:
                orphans = [
                    name
                    for name, blob in names
                    if blob is None or (snapshot.owner_of_blob(blob) is None and snapshot.row(CONDEMNED, blob) is None)
                ]
            try:
                for name in orphans:
                    (self._blobs.folder(folder) / name).unlink(missing_ok=True)
            except OSError as exc:  # it keeps its lease, and the next start tries again
                logger.error("storage.cannot-sweep folder=%d error=%s", folder, exc.strerror)
                continue
            count += len(orphans)
            if not orphans or self._make_durable({folder}):
                self._index.retire_folder(folder)
        if count:
            logger.info("storage.swept orphans=%d", count)
        return count


def _is_whole(path: Path, instance: Instance) -> bool:
    """Tell whether a file is what its event says. One without a digest was durable before its event."""
    if not instance.md5:
        return True
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, _md5).digest() == instance.md5
    except FileNotFoundError:
        return False
    except OSError as exc:  # the file may well be whole: whoever reads it is told of the error
        logger.error("storage.cannot-read blob=%s error=%s", path.name, exc.strerror)
        return True


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def leased_folders(views: Views) -> list[int]:
    """Return the folders that the last run did not give back."""
    with views.snapshot() as snapshot:
        return [U64.unpack(lease)[0] for lease in snapshot.keys(LEASES, b"")]


def _passed_by_all(snapshot: Snapshot) -> int:
    """Return the sequence up to which every durable consumer has dealt with the log, for good."""
    positions: list[int] = [
        U64.unpack(snapshot.row(CURSORS, name) or bytes(8))[0] for name in snapshot.keys(CURSORS, b"")
    ]
    if not positions:
        return (1 << 64) - 1
    waiting = next(list_waiting(snapshot), None)  # a callback that is called again may want to read the file
    return min(positions) if waiting is None else min(*positions, waiting.cause_seq)
