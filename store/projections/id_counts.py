"""Counts the identifiers of each level by their first 12 bits, so that a page of millions is found without counting to it.

A row holds the counts of the 16 beginnings that share their first byte. Identifiers are hashes, evenly spread: with ten
million of them a beginning has some 2,500.
"""

from struct import Struct

from events.event import Event
from store.batch import Batch
from store.projections.projection import Projection, Rebuild, are_empty
from store.tables import ID_COUNTS, IDS

COUNTS = Struct(">16I")
_NONE = bytes(COUNTS.size)


def add(batch: Batch, level: int, resource_id: bytes, number: int) -> None:
    """Count an identifier that is new, or gone (-1)."""
    row_key = bytes((level, resource_id[0]))
    row = batch.get(ID_COUNTS, row_key) or _NONE
    at = (resource_id[1] >> 4) * 4
    count = int.from_bytes(row[at : at + 4], "big") + number
    row = row[:at] + count.to_bytes(4, "big") + row[at + 4 :]
    if row == _NONE:
        batch.delete(ID_COUNTS, row_key)
    else:
        batch.put(ID_COUNTS, row_key, row)


def _recount(batch: Batch, _: bytes, resource_id: bytes, place: bytes) -> None:
    add(batch, place[0], resource_id, 1)


# For an archive that is older than these counts: 2 s of processor time a million.
PROJECTION = Projection(
    tables=(ID_COUNTS,),
    handles={},
    ignores=(Event,),  # kept by store.projections.resources: only there is known whether an identifier is new
    rebuild=Rebuild(
        name="id-counts", tables=(ID_COUNTS,), sources=(IDS,), add=_recount, is_missing=are_empty(ID_COUNTS)
    ),
)
