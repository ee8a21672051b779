"""The door to the read models: short snapshots of one read-only environment."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.damaged_rows import UNREADABLE, describe
from store.environment import Environment
from store.views.snapshot import Snapshot


class Views:
    """Gives out snapshots. Thread-safe; one per process."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def folder(self) -> Path:
        """Where the index lies."""
        return self._environment.folder

    def size_bytes(self) -> int:
        """Return the size of the index's file."""
        return self._environment.size_bytes()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Open the archive as it is now, for a second at most. Raises CorruptIndex, StorageFailed where it cannot be read."""
        snapshot: Snapshot | None = None
        try:
            with self._environment.begin() as txn:
                snapshot = Snapshot(txn, self._environment.tables)
                yield snapshot
        except UNREADABLE as exc:
            raise describe(b"" if snapshot is None else snapshot.last_table, exc) from exc
