"""`sinogram fsck`: whether every instance has its file and every file its instance, and what to do where not.

Works on the folder of a stopped server and beside a running one. It changes nothing. Beside a running server what is
found is looked up once more before it is told, because instances come, go and heal at the same time. Files of leased folders are left
alone, because they may be under way. No snapshot is held for longer than a fraction of a second.
"""

import contextlib
import fcntl
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from events.identifiers import format_resource_id
from store.blobs.damage import Damage, check
from store.blobs.store import DAMAGED, MARK_NAME, BlobStore
from store.blobs.writer import parse_blob_name
from store.boot import ARCHIVE_KEY, LOCK_NAME
from store.environment import Environment
from store.projections.job_rows import unpack_output
from store.records import Instance
from store.tables import CONDEMNED, INSTANCES, JOB_OUTPUTS, META
from store.views.files import OwnedFile, list_owners, owner_of, read_owned, resource_of
from store.views.snapshot import Snapshot
from store.views.views import Views
from tools.index_walk import print_findings, walk
from tools.replay import check_there, open_for_reading

ROWS_AT_ONCE = 1_000
WHOLE, FOUND, UNREADABLE = 0, 1, 2  # exit statuses

_INSTANCE_AGAIN = "send the same instance again, which heals it; else delete it"
_ATTACHMENT_AGAIN = "set it again, which replaces it; else delete it"
_REMEDIES = {
    "unreadable": "look at its rights and at the disk; ",
    "orphan": "no instance has it; if 'sinogram import' of it brings nothing new, remove it",
    "stranger": "it is not of this server; move it away",
}


@dataclass(slots=True)
class Report:
    """Prints what is found, and counts it."""

    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, kind: str, path: Path, owner: str = "", again: str = "") -> None:
        self.counts[kind] += 1
        print(f"{kind}: {path}{owner and f' of {owner}'}; {_REMEDIES.get(kind, '')}{again}")


def fsck(data: Path, storage: Path | None = None, *, digests: bool = True) -> int:
    """Run the command; returns 0 if all is well, 1 if something was found, 2 if the index cannot be read."""
    check_there(data)
    damaged = walk(data)
    if damaged:
        print_findings(damaged)
        return UNREADABLE
    blobs = BlobStore(storage or data)
    with open_for_reading(data) as env:
        complaint = _look_at_folder(env, blobs)
        if complaint:
            print(complaint, file=sys.stderr)
            return FOUND
        check_run = _Check(env, blobs, is_running=is_running(data), digests=digests)
        return check_run.run()


def count_damaged(env: Environment, data: Path) -> int:
    """Return how many instances lack their file, or have one of another size, if the files lie in the index's folder.

    For who looks at the log. Takes 10 µs an instance; digests are not computed.
    """
    blobs = BlobStore(data)
    if not blobs.root.is_dir() or _look_at_folder(env, blobs):
        return 0
    run = _Check(env, blobs, is_running=False, digests=False)
    return sum(1 for _ in run.damaged())


class _Check:
    def __init__(self, env: Environment, blobs: BlobStore, *, is_running: bool, digests: bool) -> None:
        self._env = env
        self._views = Views(env)
        self._blobs = blobs
        self._is_running = is_running
        self._digests = digests
        self._report = Report()
        self._outputs: frozenset[bytes] = frozenset()
        self._instances = self._attachments = 0  # looked at

    def run(self) -> int:
        if self._is_running:
            print("a server is running on this index: files under way are left alone")
        self._check_owners()
        files = self._check_files()
        self._tell_of_laid_aside()
        found = self._report.counts
        looked = "size and digest" if self._digests else "size alone"
        attachments = f", {self._attachments:,} attachments" if self._attachments else ""
        print(f"{self._instances:,} instances{attachments} and {files:,} files looked at ({looked}): ", end="")
        print(", ".join(f"{count:,} {kind}" for kind, count in sorted(found.items())) or "all is well")
        return FOUND if found else WHOLE

    # -- every instance has its file -----------------------------------------------------------------------------------

    def _check_owners(self) -> None:
        for file, damage in self.damaged():
            again = _INSTANCE_AGAIN if isinstance(file, Instance) else _ATTACHMENT_AGAIN
            self._report.tell(damage.kind, self._blobs.path(file.blob), self._owner(file), again)

    def damaged(self) -> Iterator[tuple[OwnedFile, Damage]]:
        for file in self._owned_files():
            self._instances += isinstance(file, Instance)
            self._attachments += not isinstance(file, Instance)
            damage = self._check(file)
            if damage is not None and self._is_current(file):
                yield file, damage

    def _check(self, file: OwnedFile) -> Damage | None:
        return check(self._blobs.path(file.blob), file, digest=self._digests)

    def _owned_files(self) -> Iterator[OwnedFile]:
        after = b""
        while True:
            with self._views.snapshot() as snapshot:
                owners = list(islice(list_owners(snapshot, after), ROWS_AT_ONCE))
                found = [read_owned(snapshot, owner) for owner in owners]
            yield from (file for file in found if file is not None)
            if len(owners) < ROWS_AT_ONCE:
                return
            after = owners[-1]

    def _is_current(self, file: OwnedFile) -> bool:
        """Look once more whether that is the file which was found damaged."""
        with self._views.snapshot() as snapshot:
            current = read_owned(snapshot, owner_of(file))
            if current is None or current.blob != file.blob:
                return False
            level, resource = resource_of(snapshot, file)
            return snapshot.find(resource) == (level, file.ref)

    def _owner(self, file: OwnedFile) -> str:
        with self._views.snapshot() as snapshot, contextlib.suppress(KeyError):
            level, resource = resource_of(snapshot, file)
            whose = f"{level.name.lower()} {format_resource_id(resource)}"
            return whose if isinstance(file, Instance) else f"attachment {file.number} of {whose}"
        return ""

    # -- every file has its instance -------------------------------------------------------------------------------------

    def _check_files(self) -> int:
        count = 0
        for folder in self._folders():
            names = sorted(entry.name for entry in _scan(folder))
            count += len(names)
            with self._views.snapshot() as snapshot:
                self._outputs = _outputs(snapshot)
                found = [name for name in names if not self._is_wanted(snapshot, folder, name)]
            for name in found:
                self._report.tell("orphan" if parse_blob_name(name) else "stranger", folder / name)
        return count

    def _folders(self) -> Iterator[Path]:
        for above in _scan(self._blobs.root):
            if above.name in {MARK_NAME, DAMAGED}:
                continue
            if not _is_number(above.name, 9) or not above.is_dir(follow_symlinks=False):
                self._report.tell("stranger", Path(above.path))
                continue
            for folder in _scan(Path(above.path)):
                if _is_number(folder.name, 3) and folder.is_dir():
                    yield Path(folder.path)
                else:
                    self._report.tell("stranger", Path(folder.path))

    def _is_wanted(self, snapshot: Snapshot, folder: Path, name: str) -> bool:
        number = (int(folder.parent.name, 16) << 12) + int(folder.name, 16)
        if snapshot.is_leased(number):  # under way, or left for the sweep of the next start
            return True
        blob = parse_blob_name(name)
        if blob is None or self._blobs.path(blob) != folder / name:
            return False
        return (
            snapshot.owner_of_blob(blob) is not None
            or snapshot.row(CONDEMNED, blob) is not None
            or blob in self._outputs
        )

    def _tell_of_laid_aside(self) -> None:
        count = len(list(_scan(self._blobs.root / DAMAGED)))
        if count:
            print(
                f"{count:,} damaged files were laid aside in {self._blobs.root / DAMAGED}; look at them, then remove them"
            )


def _look_at_folder(env: Environment, blobs: BlobStore) -> str:
    """Return why the files cannot be those of this index, "" if they are."""
    with env.begin() as txn:
        mine = txn.get(ARCHIVE_KEY, db=env.tables[META])
        has_instances = txn.stat(env.tables[INSTANCES])["entries"] > 0
    if not blobs.root.is_dir():
        if not has_instances:
            return ""
        return f"{blobs.root} is not there: mount its disk, or name the StorageDirectory with --storage"
    theirs = blobs.owner()
    if theirs is not None and theirs != mine:
        return f"{blobs.root} holds the files of another index: name the StorageDirectory with --storage"
    return ""


def _outputs(snapshot: Snapshot) -> frozenset[bytes]:
    """Return the files that jobs have made; there are few."""
    found = (snapshot.row(JOB_OUTPUTS, row_key) for row_key in snapshot.keys(JOB_OUTPUTS, b""))
    return frozenset(unpack_output(row).blob for row in found if row is not None)


def _scan(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return


def _is_number(name: str, digits: int) -> bool:
    return len(name) == digits and all(digit in "0123456789abcdef" for digit in name)


def is_running(data: Path) -> bool:
    """Tell whether a server has the index: it holds a lock, which is asked for and let go at once."""
    try:
        fd = os.open(data / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
