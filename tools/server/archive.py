"""Opening an archive for writing: the boot table's actions, the lock on its folder, the first commits of a run."""

from dataclasses import replace
from pathlib import Path

import lmdb

from events.errors import BadMedium
from store import boot
from store.blobs.store import BlobStore
from store.boot import Action
from store.environment import Environment, ensure_reserve, missing_bytes, release_reserve
from store.tables import SETTINGS
from tools.index_walk import remedy, walk
from tools.server import predecessor
from tools.server.holders import who_locks


def open_archive(folder: Path, blobs: BlobStore | None = None) -> tuple[Environment, list[boot.Row]]:
    """Open the environment for writing, as the boot table allows, and claim its files. Raises BadMedium, CorruptLog."""
    medium = boot.look_at_medium(folder)
    boot.plan(medium)
    lock = _lock(folder, medium)
    try:
        _refuse_if_cut(folder, medium)
        boot.plan(boot.look_at_file(folder, medium))
        environment = Environment(folder, writable=True)
    except BaseException:
        lock.release()
        raise
    try:
        facts = boot.look_at_environment(environment, medium)
        rows = boot.plan(facts if blobs is None else boot.look_at_blobs(environment, blobs, facts))
        if any(row.action is Action.VERIFY_TAIL for row in rows):
            boot.verify_tail(environment)
        for name in facts.outdated:
            boot.rebuild(environment, name)
        environment.forget_dead_readers()
        _begin_run(environment)
        if blobs is not None:
            boot.claim_blobs(environment, blobs)
        ensure_reserve(folder)
    except BaseException:
        environment.close()
        lock.release()
        raise
    environment.on_close(lock.release)
    return environment, rows


def _lock(folder: Path, medium: boot.Facts) -> boot.FolderLock:
    """Lock an index folder; waits for the end of an earlier server. Raises BadMedium."""

    def attempt() -> boot.FolderLock | None:
        lock = boot.FolderLock(folder)
        if lock.is_held:
            return lock
        lock.release()
        return None

    taken = predecessor.take(attempt, lambda: who_locks(folder / boot.LOCK_NAME), "the index folder")
    if taken is None:
        holder = who_locks(folder / boot.LOCK_NAME)
        try:
            boot.plan(replace(medium, is_taken=True))
        except BadMedium as exc:
            raise BadMedium(f"{exc}: {holder or 'a process that cannot be seen from here'}") from None
        raise AssertionError("the boot table refuses a folder that is taken")
    return taken


def _refuse_if_cut(folder: Path, medium: boot.Facts) -> None:
    """Refuse a file that has lost its end: reading there would end this process at every start. Raises BadMedium."""
    if medium.is_new or not missing_bytes(folder):
        return
    damaged = walk(folder)
    if damaged:
        raise BadMedium(f"the index is damaged: {damaged[0].what}; {remedy(damaged[0].table)}")


def _begin_run(environment: Environment) -> None:
    """Make the first commits of a run; on a full disk with the help of the reserve. Raises BadMedium."""
    try:
        boot.mark_running(environment)
        _forget_settings(environment)
    except lmdb.Error as exc:
        if not release_reserve(environment.folder):
            raise BadMedium("the index cannot be written; is its disk full?") from exc
        _begin_run(environment)


def _forget_settings(environment: Environment) -> None:
    """Empty what REST changed for the last run."""
    with environment.begin() as txn:
        if not txn.stat(environment.tables[SETTINGS])["entries"]:
            return
    with environment.begin(write=True) as txn:
        txn.drop(environment.tables[SETTINGS], delete=False)
