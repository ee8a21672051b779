"""Storage: removes the files that nothing refers to any more.

Owns the removal of blobs: condemned ones (deleted instances) after the deletion is durable and every durable consumer
of the log has passed it, and those that a writer which died left in its leased folders. Reads snapshots, asks the
index to forget what it has removed. A file that cannot be removed stays condemned and is tried again at the next
deletion or start. While files wait for a consumer that lags behind, this actor looks at them now and then.

A small file is synced while its event is committed (`actors.services.ingest.ingest`), so after a run that was cut off the log may know
instances whose files never reached the disk, whether or not the machine was restarted: a disk that went away loses what
was not synced, too. No sender was told that they are stored. They lie in leased folders and are of the last minute before the
end of the log; a sweep at the start finds them by their MD5 and asks the index to retract them. What it keeps it makes
durable before it gives the lease back. An older instance was acknowledged: of its file the size is compared, and damage
is recorded, as by any reader of a file.

At a start it also looks again at all files that are listed as damaged: somebody may have put them back. Between these tasks
the scrubber (`actors.core.scrubber`) takes its steps.
"""

import logging
import time
from dataclasses import dataclass
from itertools import islice
from typing import assert_never

from actors.core.actor import CoreActor, tell
from actors.core.alarm import Alarm
from actors.core.scrubber import Scrubber
from actors.messages.index_client import IndexClient
from actors.wire import metrics
from events.errors import SinogramError
from events.identifiers import BlobId, Ref
from store.blobs.damage import Kind, check
from store.blobs.store import BlobStore
from store.blobs.writer import folder_number
from store.derived_files import DerivedFiles
from store.log import read_head
from store.records import Instance
from store.tables import BLOBS, CONDEMNED, DAMAGED_FILES, LEASES, META, NEXT_FOLDER, SERIES, U64, key
from store.views.callbacks import list_waiting
from store.views.files import find_owned, find_shrunken_series, read_owned
from store.views.snapshot import Snapshot
from store.views.views import Views

logger = logging.getLogger(__name__)

RECHECKS_PER_STEP = 50
UNACKNOWLEDGED_S = 60.0  # before the end of the log: older stores were answered, however slow the disk was
SYNCED_BESIDE_BYTES = (
    1 << 20
)  # a larger file was durable before its event (actors.services.ingest.incoming_blob.SPILL_BYTES)
# Between two removals. While patients are recycled each store condemns some files: one by one their removal costs a commit and a sync of
# their folder for each of these stores.
GATHER_S = 0.5
HELD_BACK_S = 5.0  # between two looks at what waits for a consumer; a look at 100,000 files takes some 0.1 s
DERIVED_S = 10.0  # from a removal to a look at what was made of series: of 10,000 files it takes 20 ms
FOLDERS_AHEAD = 64  # looked for: some numbers may have been leased without a folder being made
REMOVALS_PER_STEP = 500  # files per message: some 20 ms, so that a sweep does not wait long behind a deletion


@dataclass(frozen=True, slots=True)
class Condemned:
    """A commit has condemned blobs. They are removed at once, or soon, together with those of the next commits."""


@dataclass(frozen=True, slots=True)
class RemoveCondemned:
    """There are condemned blobs; those up to one are done."""

    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Recheck:
    """Look again at the files that are listed as damaged; the rows up to one are done."""

    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Scrub:
    """Read on."""


@dataclass(frozen=True, slots=True)
class ForgetDerived:
    """Series may be gone, or some of their instances, of which something is kept that can be made again."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The writer of these folders is gone. Replies how many files were removed."""

    folders: list[int]
    is_after_cut: bool = False  # the run was cut off: files may be missing that the log knows


StorageMessage = Condemned | RemoveCondemned | Recheck | Scrub | ForgetDerived | Sweep


class Storage(CoreActor):
    """See the module's text."""

    def __init__(
        self,
        index: IndexClient,
        views: Views,
        blobs: BlobStore,
        scrubber: Scrubber | None = None,
        derived: DerivedFiles | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__()
        self._derived = derived
        self._derived_alarm = Alarm("derived-alarm", lambda: tell(self.actor_ref, ForgetDerived()), time.monotonic)
        self._is_derived_due = False
        self._shrunken: set[Ref] = set()  # series that have lost instances since the last look
        self._read_only = read_only  # no file is removed; what is to be waits for a start without it
        self._index = index
        self._views = views
        self._blobs = blobs
        self._alarm = Alarm("storage-alarm", lambda: tell(self.actor_ref, RemoveCondemned()), time.monotonic)
        self._gathering_until_s = 0.0
        self._scrubber = scrubber
        self._scrub_alarm: Alarm | None = None

    def on_start(self) -> None:
        if self._scrubber is not None and (due := self._scrubber.first_due()) is not None:
            self._scrub_alarm = Alarm("scrub-alarm", lambda: tell(self.actor_ref, Scrub()), time.monotonic)
            self._scrub_alarm.set(due)

    def on_stop(self) -> None:
        self._alarm.stop()
        self._derived_alarm.stop()
        if self._scrub_alarm is not None:
            self._scrub_alarm.stop()
        if self._scrubber is not None:
            self._scrubber.close()

    def on_message(self, message: StorageMessage) -> int | None:
        try:
            match message:
                case Recheck(after):
                    self._recheck(after)
                case Scrub():
                    self._scrub()
                case ForgetDerived():
                    self._forget_derived()
                case Sweep(folders, is_after_cut):
                    return 0 if self._read_only else self._sweep(folders, verify=is_after_cut)
                case Condemned():
                    self._remove_soon()
                case RemoveCondemned(after):
                    if not self._read_only:
                        self._remove_condemned(after)
                case _:
                    assert_never(message)
        except SinogramError as exc:
            # Work that was not done now is still in the tables, and is done at the next occasion or start.
            logger.warning("storage.postponed error=%s", exc)
        return None

    def _remove_soon(self) -> None:
        if self._read_only:
            return
        if time.monotonic() < self._gathering_until_s:
            self._alarm.set(self._gathering_until_s)
        else:
            self._remove_condemned(b"")

    def _remove_condemned(self, after: bytes) -> None:
        with self._views.snapshot() as snapshot:
            passed = _passed_by_all(snapshot)
            found = []
            is_held_back = False
            condemning = set()
            for blob in snapshot.keys(CONDEMNED, b"", after + b"\0"):
                (seq,) = U64.unpack(snapshot.row(CONDEMNED, blob) or bytes(8))
                if seq <= passed:
                    found.append(BlobId(blob))
                    condemning.add(seq)
                else:
                    is_held_back = True
                if len(found) == REMOVALS_PER_STEP:
                    break
            self._shrunken |= find_shrunken_series(snapshot, condemning)
        self._gathering_until_s = time.monotonic() + GATHER_S
        if is_held_back:
            self._alarm.set(time.monotonic() + HELD_BACK_S)
        removed = [blob for blob in found if self._remove(blob)]
        if removed and not self._is_derived_due:
            self._is_derived_due = True
            self._derived_alarm.set(time.monotonic() + DERIVED_S)
        if removed and self._make_durable({folder_number(blob) for blob in removed}):
            self._index.forget_condemned(removed)
        if len(found) == REMOVALS_PER_STEP:
            self.actor_ref.tell(RemoveCondemned(found[-1]))

    def _forget_derived(self) -> None:
        self._is_derived_due = False
        shrunken, self._shrunken = self._shrunken, set()
        if self._derived is not None:
            with self._views.snapshot() as snapshot:
                self._derived.forget_gone(
                    lambda ref: ref not in shrunken and snapshot.row(SERIES, key(ref)) is not None
                )

    def _scrub(self) -> None:
        if self._scrubber is not None and self._scrub_alarm is not None:
            self._scrub_alarm.set(self._scrubber.step())

    def _remove(self, blob: BlobId) -> bool:
        started = time.perf_counter()
        try:
            self._blobs.remove(blob)
        except OSError as exc:
            logger.error("storage.cannot-remove error=%s", exc.strerror)
            return False
        metrics.LONGEST_REMOVAL.observe(time.perf_counter() - started)
        metrics.REMOVED_FILES.add()
        return True

    def _make_durable(self, folders: set[int]) -> bool:
        """Sync the folders of removed files: after a power cut no table would name a file that came back."""
        try:
            for folder in folders:
                self._blobs.sync_folder(folder)
        except OSError as exc:
            logger.error("storage.cannot-sync error=%s", exc.strerror)
            return False
        return True

    def _recheck(self, after: bytes) -> None:
        """Look at some of the files that are listed as damaged; those that are whole again leave the list."""
        with self._views.snapshot() as snapshot:
            rows = list(islice(snapshot.keys(DAMAGED_FILES, b"", after + b"\0"), RECHECKS_PER_STEP))
            files = [read_owned(snapshot, row) for row in rows]
        for file in files:
            if file is None:
                continue
            try:
                damage = check(self._blobs.path(file.blob), file, digest=True)
            except OSError as exc:
                logger.error("storage.cannot-check error=%s", exc.strerror)
                continue
            if damage is None:
                logger.warning("storage.recovered ref=%d: its file is whole again", file.ref)
                self._index.report_recovery(file.blob)
        if len(rows) == RECHECKS_PER_STEP:
            self.actor_ref.tell(Recheck(rows[-1]))

    def _check_leased(self, folder: int) -> None:
        """Find the damaged files of a folder that was being written into when the last run was cut off.

        Instances that were never acknowledged are retracted and their files laid aside; for all others damage is recorded, and for
        other attachments, which are durable before their events.
        """
        is_there = self._blobs.folder(
            folder
        ).is_dir()  # it was durable before its first file: else its disk is not there
        with self._views.snapshot() as snapshot:
            acknowledged_us = read_head(snapshot.txn, snapshot.tables).at_us - int(UNACKNOWLEDGED_S * 1_000_000)
            blobs = [BlobId(blob) for blob in snapshot.keys(BLOBS, folder.to_bytes(6, "big"))]
        for blob in blobs:
            with self._views.snapshot() as snapshot:
                file = find_owned(snapshot, blob)
            if file is None:  # deleted since
                continue
            # Without a digest, or above that size, a file was durable before its event.
            may_be_lost = (
                isinstance(file, Instance)
                and file.received_us >= acknowledged_us
                and bool(file.md5)
                and file.size_bytes <= SYNCED_BESIDE_BYTES
                and is_there
            )
            try:
                damage = check(self._blobs.path(blob), file, digest=may_be_lost)
            except OSError as exc:  # the file may well be whole: its next reader gets the error
                logger.error("storage.cannot-check error=%s", exc.strerror)
                continue
            if damage is None:
                continue
            if may_be_lost and damage.kind is not Kind.UNREADABLE:  # such a file may well be whole
                logger.error("storage.retracted ref=%d: the cut came before its file was on disk", file.ref)
                self._blobs.lay_aside(blob)
                self._index.retract(blob)
            else:
                logger.error("storage.damaged ref=%d kind=%s", file.ref, damage.kind)
                self._index.report_damage(damage)

    def _sweep(self, folders: list[int], *, verify: bool) -> int:
        """Remove what no event refers to from folders whose writers are gone, and retire them; returns how many."""
        count = 0
        removes = not (verify and folders and self._is_index_older())
        for folder in folders:
            try:
                count += self._sweep_folder(folder, verify=verify, removes=removes)
            except OSError as exc:  # it keeps its lease, and the next start tries again
                logger.error("storage.cannot-sweep folder=%d error=%s", folder, exc.strerror)
        if count:
            logger.info("storage.swept orphans=%d", count)
        return count

    def _is_index_older(self) -> bool:
        """Tell whether an older copy of the index was put back: files that it does not know may then be the only copies."""
        with self._views.snapshot() as snapshot:
            following = int.from_bytes(snapshot.row(META, NEXT_FOLDER) or b"\1", "big")
        is_older = any(self._blobs.folder(number).is_dir() for number in range(following, following + FOLDERS_AHEAD))
        if is_older:
            logger.error(
                "storage.index-is-older: there are files that are newer than this copy of the index; none is removed. 'sinogram fsck' "
                "lists them, 'sinogram import' of the folder blobs brings them back"
            )
        return is_older

    def _sweep_folder(self, folder: int, *, verify: bool, removes: bool) -> int:
        """Raises OSError."""
        if verify:
            self._check_leased(folder)
        names = list(self._blobs.list_folder(folder))
        orphans = self._orphans_of(names) if removes else set()
        for name in orphans:
            (self._blobs.folder(folder) / name).unlink(missing_ok=True)
        # Some may not have been synced by their writers. Not os.sync(): it waits for whatever else is being written on the machine.
        self._blobs.sync_files(folder, [name for name, _ in names if name not in orphans])
        self._index.retire_folder(folder)
        return len(orphans)

    def _orphans_of(self, names: list[tuple[str, BlobId | None]]) -> set[str]:
        with self._views.snapshot() as snapshot:
            return {
                name
                for name, blob in names
                if blob is None or (snapshot.owner_of_blob(blob) is None and snapshot.row(CONDEMNED, blob) is None)
            }


def leased_folders(views: Views) -> list[int]:
    """Return the folders that the last run did not give back."""
    with views.snapshot() as snapshot:
        return [U64.unpack(lease)[0] for lease in snapshot.keys(LEASES, b"")]


def _passed_by_all(snapshot: Snapshot) -> int:
    """Return the sequence up to which every durable consumer has dealt with the log, for good."""
    positions = list(snapshot.cursors().values())
    if not positions:
        return (1 << 64) - 1
    waiting = next(list_waiting(snapshot), None)  # a callback that is called again may want to read the file
    return min(positions) if waiting is None else min(*positions, waiting.cause_seq)
