"""The one LMDB environment of an archive: how it is opened, by whom, and on what.

The core process opens it for writing, every other process read-only; each opens it once and never across a fork.
`sync` and `metasync` stay on: a committed transaction survives a power cut. The map is 1 TiB of address space from the
start and is never resized (resizing under an open reader ends in SIGBUS); the file grows as it is used.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import lmdb

from events.errors import BadMedium
from store.projections import ALL_TABLES

logger = logging.getLogger(__name__)

MAP_BYTES = 1 << 40
MAX_READERS = 1024  # LMDB's default of 126 is fewer than one server's threads
FILE_NAME = "sinogram.mdb"
RESERVE_NAME = "reserve"
RESERVE_BYTES = 16 << 20  # given up so that deletion can commit on a full disk
INDEX_MARGIN_BYTES = 48 << 20  # below this much free space nothing but deletion is written

# Memory-mapped files on these are not coherent between hosts, or not durable: LMDB's own documentation excludes them.
NETWORK_FILE_SYSTEMS = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
    ]
)


class Environment:
    """An open LMDB environment with its tables."""

    def __init__(self, folder: Path, *, writable: bool, durable: bool = True) -> None:
        """Open the environment in `folder`. Raises BadMedium where LMDB cannot.

        `durable=False` is for scratch copies alone: nothing is synced.
        """
        self.folder = folder
        self._at_close: list[Callable[[], None]] = []
        try:
            opened = lmdb.open(
                str(folder / FILE_NAME),
                subdir=False,
                map_size=MAP_BYTES,
                max_dbs=len(ALL_TABLES) + 8,
                max_readers=MAX_READERS,
                readonly=not writable,
                create=writable,
                mode=0o600,  # names and identifiers of all patients lie there
                readahead=False,  # read-ahead evicts blobs that will be read
                meminit=False,
                sync=durable,
                metasync=durable,
                lock=True,
            )
        except lmdb.Error as exc:
            raise BadMedium(f"{folder / FILE_NAME} cannot be opened: {exc}") from exc
        self._env = opened
        _keep_from_commands(folder / FILE_NAME)
        if writable:
            _lay_out_locks(folder)
        try:
            self.tables = MappingProxyType(self._open_tables(writable=writable))
        except lmdb.NotFoundError as exc:
            opened.close()
            raise BadMedium(
                f"{folder / FILE_NAME} lacks tables of this release: an older one wrote it; start the server once, which adds them"
            ) from exc
        except lmdb.Error as exc:
            opened.close()
            raise BadMedium(f"the tables of {folder / FILE_NAME} cannot be opened: {exc}") from exc

    def _open_tables(self, *, writable: bool) -> dict[bytes, object]:
        if not writable:
            return {name: self._env.open_db(name, create=False) for name in ALL_TABLES}
        # All at once: a transaction each is synced each, 0.25 s of a first start instead of 0.02.
        with self._env.begin(write=True) as txn:
            return {name: self._env.open_db(name, txn, create=True) for name in ALL_TABLES}

    def begin(self, *, write: bool = False) -> lmdb.Transaction:
        """Start a transaction; readers live at most a second, for a held one makes the file grow without bound."""
        return self._env.begin(write=write)

    def forget_dead_readers(self) -> int:
        """Free the reader slots of processes that were killed; returns how many."""
        cleared: int = self._env.reader_check()
        return cleared

    def sync(self) -> None:
        """Make durable what was committed to an environment that is not."""
        self._env.sync(True)

    def size_bytes(self) -> int:
        """Return the size of the file on disk."""
        return (self.folder / FILE_NAME).stat().st_size

    def on_close(self, action: Callable[[], None]) -> None:
        """Register a function to call after the environment is closed: to release its guard."""
        self._at_close.append(action)

    def close(self) -> None:
        """Close the environment, then call what was registered for that."""
        self._env.close()
        while self._at_close:
            self._at_close.pop()()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _keep_from_commands(path: Path) -> None:
    """Keep the file from programs that a script starts (`os.execute`): they would inherit one of LMDB's descriptors."""
    real = str(path.resolve())
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed in the meantime
            if str(entry.readlink()) == real:
                os.set_inheritable(int(entry.name), False)


def _lay_out_locks(folder: Path) -> None:
    """Give the lock file, which LMDB leaves sparse, its space: a first use of its pages on a full disk is a SIGBUS."""
    path = folder / f"{FILE_NAME}-lock"
    with contextlib.suppress(OSError), path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def missing_bytes(folder: Path) -> int:
    """Return by how much the file is shorter than its pages say; reading behind its end would end the process.

    A page at the end that was freed before it was ever written may be missing without harm. Raises BadMedium.
    """
    path = folder / FILE_NAME
    try:
        with lmdb.open(str(path), subdir=False, readonly=True, lock=False, max_dbs=1) as env:
            needed: int = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    except lmdb.Error as exc:
        reason = str(exc).rpartition(": ")[2]
        raise BadMedium(f"{path} is no index, or its first pages are damaged ({reason}); put a copy back") from exc
    return max(0, needed - path.stat().st_size)


def peek(folder: Path, table: bytes, row_key: bytes) -> tuple[frozenset[bytes], bytes | None]:
    """Return the names of all tables in the file of `folder`, and one row; changes nothing. Raises BadMedium."""
    try:
        with lmdb.open(str(folder / FILE_NAME), subdir=False, readonly=True, max_dbs=1, map_size=MAP_BYTES) as env:
            with env.begin() as txn:
                names = frozenset(name for name, _ in txn.cursor())
            if table not in names:
                return names, None
            db = env.open_db(table, create=False)
            with env.begin() as txn:
                return names, txn.get(row_key, db=db)
    except lmdb.Error as exc:
        raise BadMedium(f"{folder / FILE_NAME} cannot be opened: {exc}") from exc


def file_system_type(path: Path, mountinfo: str | None = None) -> str:
    """Return the type of the file system that holds `path`, from /proc/self/mountinfo ("" where that cannot tell)."""
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text()
        except OSError:
            return ""
    where = os.path.realpath(path)
    best = ("", "")
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        mount_point = left.split()[4].replace("\\040", " ")
        holds = mount_point in {"/", where} or where.startswith(mount_point + "/")
        if holds and len(mount_point) >= len(best[0]):
            best = (mount_point, right.split()[0])
    return best[1]


def free_bytes(folder: Path) -> int:
    """Return how much an ordinary process may still write to the file system of `folder`."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def ensure_reserve(folder: Path) -> None:
    """Reserve some space, if there is enough, so that a deletion can commit on a full disk."""
    path = folder / RESERVE_NAME
    try:
        if path.exists() or free_bytes(folder) < 4 * RESERVE_BYTES:
            return
        fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, RESERVE_BYTES)
        finally:
            os.close(fd)
    except OSError as exc:  # a quota, or somebody was faster: tried again after a later commit
        logger.warning("environment.no-reserve error=%s", exc.strerror)
        path.unlink(missing_ok=True)


def release_reserve(folder: Path) -> bool:
    """Give the reserve back to the file system; tells whether there was one."""
    try:
        (folder / RESERVE_NAME).unlink()
    except FileNotFoundError:
        return False
    return True
