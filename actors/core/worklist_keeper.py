"""The worklist keeper: removes entries that clients have made and that are over.

An entry goes at an age (`DeleteWorklistsDelay`), or once its study is here and stable (`DeleteWorklistsOnStableStudy`). Both are looked
for now and then in the read models, so nothing is forgotten over a restart. Owns nothing; asks the index.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from actors.core.actor import CoreActor, tell
from actors.core.alarm import Alarm
from actors.messages.commands.worklists import RemoveWorklist
from actors.messages.index_client import IndexClient
from actors.messages.worklist_settings import WorklistSettings
from events.errors import SinogramError
from store.dicom.tags import STUDY_INSTANCE_UID
from store.projections.worklists import Worklist
from store.views.snapshot import Snapshot
from store.views.views import Views
from store.views.worklists import has_stable_study, list_worklists

logger = logging.getLogger(__name__)

_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class LookAround:
    """The alarm: it is time to look."""


class WorklistKeeper(CoreActor):
    """See the module's text."""

    def __init__(
        self,
        index: IndexClient,
        views: Views,
        settings: WorklistSettings,
        *,
        wall_clock: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._index = index
        self._views = views
        self._settings = settings
        self._wall_clock = wall_clock
        self._clock = clock
        self._alarm = Alarm("worklist-alarm", lambda: tell(self.actor_ref, LookAround()), clock)

    def on_start(self) -> None:
        self._alarm.set(self._clock() + self._settings.housekeeping_s)

    def on_stop(self) -> None:
        self._alarm.stop()

    def on_message(self, _: LookAround) -> None:
        try:
            self._remove_what_is_over()
        except SinogramError as exc:  # what ended this actor would end the server; the next look finds the same
            logger.warning("worklists.not-removed error=%s", exc)
        self._alarm.set(self._clock() + self._settings.housekeeping_s)

    def _remove_what_is_over(self) -> None:
        with self._views.snapshot() as snapshot:
            over = list(self._find_over(snapshot))
        for entry, reason in over:
            self._index.remove_worklist(
                RemoveWorklist(id=entry.id, reason=reason, remote_ip="", username="", correlation=b"")
            )

    def _find_over(self, snapshot: Snapshot) -> Iterator[tuple[Worklist, str]]:
        settings = self._settings
        oldest_us = self._wall_clock() - settings.kept_hours * _HOUR_US
        for entry in list_worklists(snapshot):
            study = entry.values.get(STUDY_INSTANCE_UID)
            if settings.kept_hours and entry.created_us < oldest_us:
                yield entry, "age"
            elif settings.ends_with_study and isinstance(study, str) and study and has_stable_study(snapshot, study):
                yield entry, "stable-study"
