"""Read models projected from the log. Each projection is pure: the event and the read models decide, nothing else.

No clock, no randomness, no configuration, no file, no network: replaying the log into an empty environment gives the
same bytes. `store.tables.NON_EVENT` names the rows that are not projected.
"""

from store.batch import Batch
from store.log import Appended
from store.projections import blobs, changes, counters, files, find, jobs, lookup, purge, resources, scripts, server

_PROJECTIONS = (
    resources.apply,
    counters.apply,
    changes.apply,
    lookup.apply,
    find.apply,
    blobs.apply,
    files.apply,
    purge.apply,
    jobs.apply,
    server.apply,
    scripts.apply,
)


def apply(batch: Batch, appended: Appended) -> None:
    """Bring every read model up to date with one event, in the same transaction as its append."""
    for project in _PROJECTIONS:
        project(batch, appended)
