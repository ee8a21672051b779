"""The remotes of a kind by name: those of the configuration, as REST has changed them; the same in every process.

With the option of the kind that keeps them in the database the configuration's are left alone and what REST stores outlives restarts.
Without it, REST changes the configuration's for this run: each changed one is a runtime setting of its own. Both are events. Either way
every call reads a snapshot: what one process has changed the next call in any other sees. Source: observed on Orthanc 1.12.7.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from actors.messages.commands.remotes import RemoteCommands
from actors.messages.index_client import IndexClient
from store.views.remotes import RemoteRows
from store.views.views import Views


class Named(Protocol):
    @property
    def name(self) -> str: ...


Remote = TypeVar("Remote", bound=Named)


class NamedRemotes(Generic[Remote]):
    """Thread-safe; one of a kind per process."""

    def __init__(
        self,
        configured: Sequence[Remote],
        views: Views,
        rows: RemoteRows,
        from_plain: Callable[[Mapping[str, Any]], Remote],
        to_plain: Callable[[Remote], dict[str, Any]],
        index: IndexClient,
        commands: RemoteCommands,
        *,
        is_stored: bool,
    ) -> None:
        self._configured = {remote.name: remote for remote in configured}
        self._views = views
        self._rows = rows
        self._from_plain, self._to_plain = from_plain, to_plain
        self._index = index
        self._commands = commands
        self.is_stored = is_stored

    @property
    def configured_names(self) -> "tuple[str, ...]":
        """Return the names in the configuration, which count for nothing where remotes are stored."""
        return tuple(sorted(self._configured))

    def list(self) -> tuple[Remote, ...]:
        """Return all remotes in the order of their names."""
        known = self._now()
        return tuple(known[name] for name in sorted(known))

    def find(self, name: str) -> Remote | None:
        return self._now().get(name)

    def put(self, remote: Remote, correlation: bytes = b"") -> None:
        """Add or replace a remote, for every process at once; durable with the option."""
        values = self._to_plain(remote)
        self._index.store_remote(self._commands, values, correlation, outlives_the_run=self.is_stored)

    def remove(self, name: str, correlation: bytes = b"") -> bool:
        """Remove a remote; returns whether there was one."""
        if self.is_stored:
            return self._index.remove_remote(self._commands, name, correlation)
        if self.find(name) is None:
            return False
        self._index.drop_remote(self._commands, name, correlation)
        return True

    def _now(self) -> dict[str, Remote]:
        with self._views.snapshot() as snapshot:
            if self.is_stored:
                return {row["name"]: self._from_plain(row) for row in self._rows.list_stored(snapshot)}
            changed = self._rows.find_changed(snapshot)
        if not changed:
            return self._configured
        known = dict(self._configured)
        for name, values in changed.items():
            if values is None:
                known.pop(name, None)
            else:
                known[name] = self._from_plain(values)
        return known
