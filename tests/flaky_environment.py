"""An environment whose next commit fails, as it does on a full or broken disk."""

from pathlib import Path
from types import TracebackType
from typing import Any

import lmdb

from store.environment import Environment


class FlakyEnvironment(Environment):
    """Fails when told to; LMDB then writes nothing, unless `commits_anyway`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, writable=True, durable=False)
        self._failure: lmdb.Error | None = None
        self._commits_anyway = False
        self._is_broken = False

    def fail_next_commit(self, failure: lmdb.Error | None = None, *, commits_anyway: bool = False) -> None:
        self._failure = failure or lmdb.DiskError("mdb_txn_commit: Input/output error")
        self._commits_anyway = commits_anyway

    def break_for_good(self) -> None:
        """Refuse everything from now on, as LMDB does when it could not write its root."""
        self._is_broken = True

    def begin(self, *, write: bool = False) -> lmdb.Transaction:
        if self._is_broken:
            raise lmdb.PanicError("mdb_txn_begin: MDB_PANIC: Update of meta page failed or environment had fatal error")
        txn = super().begin(write=write)
        if not write or self._failure is None:
            return txn
        failure, self._failure = self._failure, None
        return _FailingCommit(txn, failure, commits_anyway=self._commits_anyway)


class _FailingCommit:
    """A transaction that fails where it would commit."""

    def __init__(self, txn: lmdb.Transaction, failure: lmdb.Error, *, commits_anyway: bool) -> None:
        self._txn = txn
        self._failure = failure
        self._commits_anyway = commits_anyway

    def __enter__(self) -> Any:
        return self._txn

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if exc is None and self._commits_anyway:
            self._txn.commit()
        else:
            self._txn.abort()
        if exc is None:
            raise self._failure
