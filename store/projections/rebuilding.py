"""Writes rows of read models again, in steps, so that the owner of the writer can do other work between them.

The position of a rebuild under way is a row of META, and so is the version of all that were finished. So a rebuild that is
cut off goes on where it was, and the next start notices a version that has been raised. Readers must not rely on
the rows until it is finished: a start rebuilds before it serves. Counters can be rebuilt only then.
"""

from collections.abc import Mapping
from itertools import islice

import msgpack

from store.batch import Batch
from store.projections import PROJECTIONS
from store.projections.projection import Rebuild, are_empty
from store.tables import META

VERSIONS = b"read-models"  # in META: name -> version, of what has been rebuilt or was there from the beginning
ROWS_PER_STEP = 20_000  # some 0.1 s
REBUILDS = {rebuild.name: rebuild for rebuild in (each.rebuild for each in PROJECTIONS) if rebuild is not None}


def find_due(batch: Batch) -> list[str]:
    """Return the names of the rebuilds that an archive needs."""
    versions = _versions(batch)
    return [name for name, rebuild in REBUILDS.items() if _is_due(batch, rebuild, versions)]


def _is_due(batch: Batch, rebuild: Rebuild, versions: Mapping[str, int] | None) -> bool:
    """A release that keeps versions and names none of it had no such read model: rows of before it are out of date."""
    if batch.get(META, _position_key(rebuild)) is not None:
        return True
    if versions is not None and rebuild.name in versions:
        return versions[rebuild.name] != rebuild.version
    is_wanting = versions is not None or rebuild.version > 1 or rebuild.is_missing(batch)
    return is_wanting and not are_empty(*rebuild.sources)(batch)


def step(batch: Batch, rebuild: Rebuild) -> bool:
    """Add the next rows; returns whether these were the last."""
    position = batch.get(META, _position_key(rebuild))
    if position is None:
        for table in rebuild.tables:
            batch.clear(table)
    source, after = (position[0], position[1:]) if position else (0, b"")
    table = rebuild.sources[source]
    last = b""
    rows = 0
    for row_key, row in islice(batch.items(table, b"", after=after), ROWS_PER_STEP):
        rebuild.add(batch, table, row_key, row)
        last = row_key
        rows += 1
    following = bytes((source,)) + last if rows == ROWS_PER_STEP else bytes((source + 1,))
    if following[0] < len(rebuild.sources):
        batch.put(META, _position_key(rebuild), following)
        return False
    batch.delete(META, _position_key(rebuild))
    versions = _versions(batch)
    if versions is not None:  # else the row would say that the others were not there
        batch.put(META, VERSIONS, msgpack.packb(versions | {rebuild.name: rebuild.version}))
    return True


def pack_versions() -> bytes:
    """Return the row that says that nothing is to be rebuilt."""
    packed: bytes = msgpack.packb({name: rebuild.version for name, rebuild in REBUILDS.items()})
    return packed


def _versions(batch: Batch) -> dict[str, int] | None:
    """Return what the last release kept; None where that kept none."""
    row = batch.get(META, VERSIONS)
    return None if row is None else msgpack.unpackb(row)


def _position_key(rebuild: Rebuild) -> bytes:
    return b"rebuild:" + rebuild.name.encode()
