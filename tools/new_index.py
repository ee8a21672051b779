"""A new index, built from the log of another whose read models are damaged: `sinogram replay --into`."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import lmdb

from events.errors import SinogramError
from events.identifiers import Seq
from store.batch import Batch
from store.boot import ARCHIVE_KEY, CLEAN_KEY, FORMAT, FORMAT_KEY
from store.environment import FILE_NAME, Environment
from store.privacy import make_folder
from store.tables import BLOBS, CONDEMNED, CURSORS, EVENTS, LEASES, META, NEXT_FOLDER, PERSONAL, key


class NewIndex:
    """The environment that is filled; what is not events comes from the old one, as far as it can be read."""

    def __init__(self, folder: Path, old: Path) -> None:
        """Raises SinogramError if there is an index already."""
        if (folder / FILE_NAME).exists() or folder.resolve() == old.resolve():
            raise SinogramError(f"{folder} holds an index; the new one needs a folder of its own")
        make_folder(folder)
        self._folder = folder
        self.environment = Environment(folder, writable=True, durable=False)

    @staticmethod
    def keep(batch: Batch, seq: Seq, row: bytes, personal: bytes | None) -> None:
        """Take over a row of the log."""
        batch.put(EVENTS, key(seq), row)
        if personal is not None:
            batch.put(PERSONAL, key(seq), personal)

    def finish(self, live: Environment, *, is_whole: bool) -> None:
        """Add what is no event, and make all of it durable. Its first start verifies it, as after a run that was cut off.

        Without the end of the log no folder is taken for leased: a sweep would remove the files of the instances that came then,
        which `sinogram import` is to bring back.
        """
        with self.environment.begin(write=True) as txn:
            _take_over(live, self.environment, txn, (CURSORS, LEASES) if is_whole else (CURSORS,))
            txn.put(FORMAT_KEY, key(FORMAT), db=self.environment.tables[META])
            txn.put(CLEAN_KEY, b"\0", db=self.environment.tables[META])
            folder = max(_last_folder(self.environment, txn), _stored_folder(live))
            txn.put(NEXT_FOLDER, key(folder), db=self.environment.tables[META])
        self.environment.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.environment.close()
        if kind is not None:
            for name in (FILE_NAME, f"{FILE_NAME}-lock"):
                (self._folder / name).unlink(missing_ok=True)


def _take_over(live: Environment, fresh: Environment, txn: lmdb.Transaction, tables: Iterable[bytes]) -> None:
    """Copy the mark of the archive and some tables."""
    with contextlib.suppress(lmdb.Error), live.begin() as old:
        mark = old.get(ARCHIVE_KEY, db=live.tables[META])
        if mark is not None:
            txn.put(ARCHIVE_KEY, mark, db=fresh.tables[META])
    for table in tables:
        with contextlib.suppress(lmdb.Error), live.begin() as old:
            for row_key, row in old.cursor(db=live.tables[table]):
                txn.put(row_key, row, db=fresh.tables[table])


def _stored_folder(live: Environment) -> int:
    try:
        with live.begin() as txn:
            return int.from_bytes(txn.get(NEXT_FOLDER, db=live.tables[META]) or b"\1", "big")
    except lmdb.Error:
        return 1


def _last_folder(env: Environment, txn: lmdb.Transaction) -> int:
    """Return the number behind the last folder that a file is known in."""
    last = 0
    for table in (BLOBS, CONDEMNED):
        with txn.cursor(db=env.tables[table]) as cursor:
            if cursor.last():
                last = max(last, int.from_bytes(cursor.key()[:6], "big"))
    return last + 1
