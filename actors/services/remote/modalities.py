"""Which modalities there are: those of the configuration, as REST has changed them; the same in every process.

With `DicomModalitiesInDatabase` the configuration's are left alone and what REST stores outlives restarts. Without
it, REST changes the configuration's for this run: each changed modality is a runtime setting of its own. Both are events. Either way every call reads a snapshot: what one process has changed the next call
in any other sees. Source: observed on Orthanc 1.12.7.
"""

from collections.abc import Callable, Sequence

from actors.messages.index_client import IndexClient
from actors.services.remote.modality import Modality, from_plain, to_plain
from store.views.modalities import find_changed_modalities, list_stored_modalities
from store.views.views import Views


class Modalities:
    """Thread-safe; one per process."""

    def __init__(
        self,
        configured: Sequence[Modality],
        views: Views,
        index: IndexClient,
        *,
        is_stored: bool = False,
        is_strict_aet: bool = False,
    ) -> None:
        """`is_stored` is the option DicomModalitiesInDatabase, `is_strict_aet` StrictAetComparison."""
        self._configured = {modality.name: modality for modality in configured}
        self._views = views
        self._index = index
        self._is_stored = is_stored
        self._fold: Callable[[str], str] = str if is_strict_aet else str.upper

    def list(self) -> tuple[Modality, ...]:
        """Return all modalities in the order of their names."""
        known = self._now()
        return tuple(known[name] for name in sorted(known))

    def get(self, name: str) -> Modality | None:
        return self._now().get(name)

    def by_aet(self, aet: str) -> Modality | None:
        """Return the modality with this title; of several, the one whose name comes first, as in Orthanc."""
        return next((modality for modality in self.list() if self._fold(modality.aet) == self._fold(aet)), None)

    def put(self, modality: Modality, correlation: bytes = b"") -> None:
        """Add or replace a modality, for every process at once; durable with DicomModalitiesInDatabase."""
        self._index.store_modality(to_plain(modality), correlation, outlives_the_run=self._is_stored)

    def remove(self, name: str, correlation: bytes = b"") -> bool:
        """Remove a modality; returns whether there was one."""
        if self._is_stored:
            return self._index.remove_modality(name, correlation)
        if self.get(name) is None:
            return False
        self._index.drop_modality(name, correlation)
        return True

    def _now(self) -> dict[str, Modality]:
        with self._views.snapshot() as snapshot:
            if self._is_stored:
                rows = list_stored_modalities(snapshot)
                return {row["name"]: from_plain(row) for row in rows}
            changed = find_changed_modalities(snapshot)
        if not changed:
            return self._configured
        known = dict(self._configured)
        for name, values in changed.items():
            if values is None:
                known.pop(name, None)
            else:
                known[name] = from_plain(values)
        return known
