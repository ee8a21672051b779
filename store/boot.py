"""What a start does about the state that it finds: one decision table, every row tested.

`look_at_…` gather the facts step by step, `plan` looks them up in the table after each, and the composition root carries
out the actions. The first refusal ends the start. Opening the environment may have added empty tables before that.
"""

import fcntl
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from pathlib import Path

from events import envelope
from events.errors import BadMedium
from store.batch import Batch
from store.blobs.store import BlobStore
from store.environment import (
    FILE_NAME,
    INDEX_MARGIN_BYTES,
    MAP_BYTES,
    NETWORK_FILE_SYSTEMS,
    Environment,
    file_system_type,
    free_bytes,
    peek,
)
from store.log import check_end, check_link, read_end, read_head, read_rows
from store.projections import ALL_TABLES, rebuilding
from store.projections.rebuilding import VERSIONS, find_due, pack_versions
from store.tables import CONDEMNED, LEASES, META, TOMBSTONES, key

FORMAT = 1  # of the environment as a whole: envelope/1 and the tables of store.tables
FORMAT_KEY = b"format"
CLEAN_KEY = b"clean"
ARCHIVE_KEY = b"archive"  # random bytes that the storage folder bears too
LOCK_NAME = "lock"  # of the file that a running server locks
TAIL_EVENTS = 10_000  # re-checked after an unclean stop: half a second


class Action(Enum):
    """What a start has to do before it serves, in the order of this list."""

    REFUSE = "refuse"
    INITIALIZE = "initialize"
    WARN_FULL = "warn that only reading and deleting work"
    VERIFY_TAIL = "verify the last events"
    SWEEP_LEASES = "check the files of the last run's leased folders, and remove those that it left unfinished"
    REMOVE_CONDEMNED = "remove the files of deleted instances"
    RESUME_PURGES = "go on removing the rows of deleted resources"
    REBUILD = "write the rows of some read models again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about the medium and the environment before anything is changed."""

    file_system: str = "ext4"
    is_writable: bool = True
    is_taken: bool = False  # another server uses this folder
    is_new: bool = False
    format: int | None = FORMAT
    is_map_full: bool = False
    is_storage_foreign: bool = False  # it bears the mark of another index
    is_storage_lost: bool = False  # it bears none, though there are events
    is_disk_full: bool = False
    is_clean: bool = True
    leases: int = 0
    condemned: int = 0
    tombstones: int = 0
    outdated: tuple[str, ...] = ()  # read models of another version, or that an older release did not have


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the decision table."""

    when: str
    holds: Callable[[Facts], bool]
    action: Action
    message: str


TABLE = (
    Row(
        "network file system",
        lambda f: f.file_system in NETWORK_FILE_SYSTEMS,
        Action.REFUSE,
        "the index may not lie on a network file system: memory-mapped writes are not durable there",
    ),
    Row("read-only medium", lambda f: not f.is_writable, Action.REFUSE, "the index folder cannot be written"),
    Row("folder taken", lambda f: f.is_taken, Action.REFUSE, "another server is using this index folder"),
    Row(
        "newer version",
        lambda f: f.format is not None and f.format > FORMAT,
        Action.REFUSE,
        "this index was written by a newer release",
    ),
    Row(
        "no version",
        lambda f: not f.is_new and f.format is None,
        Action.REFUSE,
        "this file is not an index of this server",
    ),
    Row("full map", lambda f: f.is_map_full, Action.REFUSE, "the index has reached its limit of 1 TiB"),
    Row(
        "storage of another index",  # whose files a sweep would take for unwanted
        lambda f: f.is_storage_foreign,
        Action.REFUSE,
        "the storage folder holds the files of another index; each index needs one of its own",
    ),
    Row(
        "storage lost",
        lambda f: f.is_storage_lost,
        Action.REFUSE,
        "the storage folder does not hold the files of this index; is its disk mounted?",
    ),
    Row("new", lambda f: f.is_new, Action.INITIALIZE, "a new archive"),
    Row("full disk", lambda f: f.is_disk_full, Action.WARN_FULL, "the disk is full: only reading and deleting work"),
    Row(
        "not stopped cleanly", lambda f: not f.is_new and not f.is_clean, Action.VERIFY_TAIL, "the last run was cut off"
    ),
    Row(
        # Even if the machine was not restarted: a disk that went away has lost unsynced bytes, too.
        "unfinished blobs",
        lambda f: f.leases > 0,
        Action.SWEEP_LEASES,
        "files may be left without an event, or may not have reached the disk",
    ),
    Row("condemned blobs", lambda f: f.condemned > 0, Action.REMOVE_CONDEMNED, "files of deleted instances remain"),
    Row("unfinished deletion", lambda f: f.tombstones > 0, Action.RESUME_PURGES, "rows of deleted resources remain"),
    Row(
        "outdated read models", lambda f: bool(f.outdated), Action.REBUILD, "this index was written by an older release"
    ),
)


def plan(facts: Facts) -> list[Row]:
    """Return the rows that hold, in order. Raises BadMedium at the first refusal."""
    due = [row for row in TABLE if row.holds(facts)]
    if due and due[0].action is Action.REFUSE:
        raise BadMedium(due[0].message)
    return due


class FolderLock:
    """Holds an index folder for one core process; the kernel lets go of it when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.is_held = True
        except BlockingIOError:
            self.is_held = False

    def release(self) -> None:
        """Give the folder up."""
        os.close(self._fd)


def look_at_medium(folder: Path) -> Facts:
    """Gather the facts that must be known before LMDB touches the folder."""
    path = folder / FILE_NAME
    return Facts(
        file_system=file_system_type(folder),
        is_writable=os.access(folder, os.W_OK),
        is_new=not path.exists() or path.stat().st_size == 0,
        is_disk_full=free_bytes(folder) < INDEX_MARGIN_BYTES,
    )


def look_at_file(folder: Path, facts: Facts) -> Facts:
    """Add what must be known before the file is opened for writing, which adds tables to it. Raises BadMedium."""
    if facts.is_new:
        return facts
    tables, stored = peek(folder, META, FORMAT_KEY)
    return replace(facts, format=_format(stored), is_new=stored is None and tables <= frozenset(ALL_TABLES))


def look_at_environment(env: Environment, facts: Facts) -> Facts:
    """Add what the open environment tells."""
    with env.begin() as txn:

        def count(table: bytes) -> int:
            entries: int = txn.stat(env.tables[table])["entries"]
            return entries

        stored = txn.get(FORMAT_KEY, db=env.tables[META])
        clean = txn.get(CLEAN_KEY, db=env.tables[META])
        leases, condemned, tombstones = count(LEASES), count(CONDEMNED), count(TOMBSTONES)
        outdated = tuple(find_due(Batch(txn, env.tables)))
        is_empty = read_head(txn, env.tables).seq == 0
    return replace(
        facts,
        is_new=stored is None and is_empty,
        format=_format(stored),
        is_map_full=env.size_bytes() > MAP_BYTES - (64 << 20),
        is_clean=clean == b"\1",
        leases=leases,
        condemned=condemned,
        tombstones=tombstones,
        outdated=outdated,
    )


def look_at_blobs(env: Environment, blobs: BlobStore, facts: Facts) -> Facts:
    """Add whether the files are those of this index."""
    with env.begin() as txn:
        mine, has_events = txn.get(ARCHIVE_KEY, db=env.tables[META]), read_head(txn, env.tables).seq > 0
    theirs = blobs.owner()
    return replace(
        facts,
        is_storage_foreign=theirs is not None and theirs != mine,
        is_storage_lost=theirs is None and has_events and blobs.is_empty(),
    )


def claim_blobs(env: Environment, blobs: BlobStore) -> None:
    """Write the mark of this index into the storage folder, so that no other index uses it. Raises BadMedium."""
    if blobs.owner() is not None:
        return
    with env.begin() as txn:
        mark = txn.get(ARCHIVE_KEY, db=env.tables[META])
    try:
        blobs.mark(mark)
    except OSError as exc:
        raise BadMedium(f"the storage folder cannot be written: {exc.strerror}") from exc


def read_boot_id() -> bytes:
    """Return an identifier of this boot of the machine; a random one where the kernel gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return os.urandom(16)


def _format(stored: bytes | None) -> int | None:
    return None if stored is None else int.from_bytes(stored, "big")


def rebuild(environment: Environment, name: str) -> None:
    """Write a read model again, each step in a transaction of its own."""
    is_done = False
    while not is_done:
        with environment.begin(write=True) as txn:
            batch = Batch(txn, environment.tables)
            is_done = rebuilding.step(batch, rebuilding.REBUILDS[name])
            batch.flush()


def mark_running(env: Environment) -> None:
    """Record that a run has begun: until `mark_clean` the next start must assume that it was cut off."""
    _mark(env, clean=False)


def mark_clean(env: Environment) -> None:
    """Record that this run has ended in order."""
    _mark(env, clean=True)


def _mark(env: Environment, *, clean: bool) -> None:
    """Write only rows that differ: on a full disk there may be no page left for more."""
    wanted = {FORMAT_KEY: key(FORMAT), CLEAN_KEY: b"\1" if clean else b"\0", VERSIONS: pack_versions()}
    with env.begin() as txn:
        is_marked = txn.get(ARCHIVE_KEY, db=env.tables[META]) is not None
        if is_marked and all(txn.get(name, db=env.tables[META]) == value for name, value in wanted.items()):
            return
    with env.begin(write=True) as txn:
        txn.put(ARCHIVE_KEY, secrets.token_bytes(16), db=env.tables[META], overwrite=False)
        for name, value in wanted.items():
            txn.put(name, value, db=env.tables[META])


def verify_tail(env: Environment, count: int = TAIL_EVENTS) -> int:
    """Check that the last events follow each other and match their personal parts. Raises CorruptLog."""
    with env.begin() as txn:
        head, end = read_head(txn, env.tables), read_end(txn, env.tables)
        rows = read_rows(txn, env.tables, max(0, head.seq - count - 1), count + 1)
    for (before, before_row, _), (seq, row, personal) in pairwise(rows):
        earlier, record = envelope.decode_record(before, before_row), envelope.decode_record(seq, row)
        check_link(record, before, envelope.hash_row(before_row), earlier.at_us)
        envelope.decode_personal(record, personal)
    check_end(end, head.seq, head.hash)
    return len(rows)
