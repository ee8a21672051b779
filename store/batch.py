"""Writes gathered in memory and applied to one LMDB transaction in few calls.

py-lmdb gives up the interpreter around every call, and with another busy thread beside it each call then costs a wait.
So projections write into dictionaries, reads look there first, and `flush` hands each table's rows to `putmulti` at
once. A savepoint undoes what one failing command has written without touching its neighbours in the batch.
"""

from collections.abc import Iterator
from typing import Any

import lmdb

_ABSENT = object()
# What a write replaced: rows of a table, key, old value; or None, a table that was cleared, its rows and whether it had
# been cleared before.
_Undo = tuple[dict[bytes, bytes | None] | None, bytes, Any]


class Batch:
    """A write transaction's view: what the environment holds, overlaid with what was written since."""

    def __init__(self, txn: lmdb.Transaction, tables: Any) -> None:
        self._txn = txn
        self._tables = tables
        self._written: dict[bytes, dict[bytes, bytes | None]] = {name: {} for name in tables}
        self._cleared: set[bytes] = set()
        self._undo: list[_Undo] = []
        self.last_table = b""  # that was read: names it where a row cannot be decoded

    def get(self, table: bytes, key: bytes) -> bytes | None:
        """Return a row as this batch sees it, None if there is none."""
        value = self._written[table].get(key, _ABSENT)
        if value is not _ABSENT:
            return value  # type: ignore[return-value]  # the sentinel is the only object that is no row
        if table in self._cleared:
            return None
        self.last_table = table
        found: bytes | None = self._txn.get(key, db=self._tables[table])
        return found

    def put(self, table: bytes, key: bytes, value: bytes) -> None:
        """Write a row; `rollback` undoes it until the next savepoint."""
        written = self._written[table]
        self._undo.append((written, key, written.get(key, _ABSENT)))
        written[key] = value

    def delete(self, table: bytes, key: bytes) -> None:
        """Remove a row, if it is there; undone like `put`."""
        written = self._written[table]
        self._undo.append((written, key, written.get(key, _ABSENT)))
        written[key] = None

    def clear(self, table: bytes) -> None:
        """Empty a table."""
        self._undo.append((None, table, (self._written[table], table in self._cleared)))
        self._written[table] = {}
        self._cleared.add(table)

    def keys(self, table: bytes, prefix: bytes) -> Iterator[bytes]:
        """Iterate in order over the keys that start with `prefix`; the table may be written to during the iteration."""
        for key, _ in self.items(table, prefix):
            yield key

    def items(self, table: bytes, prefix: bytes, *, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Iterate in order over the rows whose keys start with `prefix`, as they are when each is reached.

        Those up to the key `after` are left out.
        """
        written = self._written[table]
        first = max(prefix, after + b"\0") if after else prefix
        fresh = sorted(k for k, value in written.items() if value is not None and k.startswith(prefix) and k >= first)
        stored = iter(()) if table in self._cleared else self._stored_keys(table, prefix, first)
        for key in _merged(iter(fresh), stored):
            value = self.get(table, key)
            if value is not None:
                yield key, value

    def _stored_keys(self, table: bytes, prefix: bytes, first: bytes) -> Iterator[bytes]:
        self.last_table = table
        with self._txn.cursor(db=self._tables[table]) as cursor:
            found = cursor.set_range(first)
            while found:
                key = cursor.key()
                if not key.startswith(prefix):
                    return
                yield key
                found = cursor.next()

    def savepoint(self) -> None:
        """Everything so far stays, whatever happens to what comes next."""
        self._undo.clear()

    def rollback(self) -> None:
        """Undo all writes since the last savepoint."""
        for written, key, old in reversed(self._undo):
            if written is None:
                self._unclear(key, *old)
            elif old is _ABSENT:
                del written[key]
            else:
                written[key] = old
        self._undo.clear()

    def _unclear(self, table: bytes, written: dict[bytes, bytes | None], was_cleared: bool) -> None:
        self._written[table] = written
        if not was_cleared:
            self._cleared.discard(table)

    def flush(self) -> None:
        """Write everything gathered into the transaction; the caller commits."""
        for table in self._cleared:
            self._txn.drop(self._tables[table], delete=False)
        for table, written in self._written.items():
            if written:
                self._flush_table(self._tables[table], written)
                written.clear()
        self._cleared.clear()
        self._undo.clear()

    def _flush_table(self, db: object, written: dict[bytes, bytes | None]) -> None:
        rows = sorted(item for item in written.items() if item[1] is not None)
        with self._txn.cursor(db=db) as cursor:
            cursor.putmulti(rows)
        if len(rows) < len(written):
            for key, value in written.items():
                if value is None:
                    self._txn.delete(key, db=db)


def _merged(left: Iterator[bytes], right: Iterator[bytes]) -> Iterator[bytes]:
    """Merge two ordered runs of keys, each key once."""
    one, two = next(left, None), next(right, None)
    while one is not None or two is not None:
        if two is None or (one is not None and one <= two):
            if one == two:
                two = next(right, None)
            assert one is not None
            yield one
            one = next(left, None)
        else:
            yield two
            two = next(right, None)
