"""Read models projected from the log. Each projection is pure: the event and the read models decide, nothing else.

No clock, no randomness, no configuration, no file, no network: replaying the log into an empty environment gives the
same bytes. `projection` says what each module declares; `store.tables.NON_EVENT` names the rows that are not projected.
"""

from events.event import Event
from store.batch import Batch
from store.log import Appended
from store.projections import row_purge
from store.projections.projection import Apply, Projection
from store.projections.read_models import READ_MODELS
from store.tables import LOG, NON_EVENT

PROJECTIONS: tuple[Projection, ...] = (*READ_MODELS, row_purge.PROJECTION)
_APPLY: dict[type[Event], list[Apply]] = {}
for _projection in PROJECTIONS:
    for _event, _apply in _projection.handles.items():
        _APPLY.setdefault(_event, []).append(_apply)


def apply(batch: Batch, appended: Appended[Event]) -> None:
    """Bring every read model up to date with one event, in the same transaction as its append."""
    for project in _APPLY.get(type(appended.event), ()):
        project(batch, appended)


READ_MODEL_TABLES = tuple(table for each in PROJECTIONS for table in each.tables)
ALL_TABLES = (*sorted(LOG), *sorted(NON_EVENT), *READ_MODEL_TABLES)
