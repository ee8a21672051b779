"""Which modalities there are."""

from collections.abc import Callable, Sequence

from actors.messages.commands.remotes import OF_MODALITIES
from actors.messages.index_client import IndexClient
from actors.services.remote.modality import Modality, from_plain, to_plain
from actors.services.remote.named_remotes import NamedRemotes
from store.views.remotes import MODALITY_ROWS
from store.views.views import Views


class Modalities(NamedRemotes[Modality]):
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
        super().__init__(
            configured, views, MODALITY_ROWS, from_plain, to_plain, index, OF_MODALITIES, is_stored=is_stored
        )
        self._fold: Callable[[str], str] = str if is_strict_aet else str.upper

    def by_aet(self, aet: str) -> Modality | None:
        """Return the modality with this title; of several, the one whose name comes first, as in Orthanc."""
        return next((modality for modality in self.list() if self._fold(modality.aet) == self._fold(aet)), None)
