"""How many identifiers of each level begin with which 12 bits: so the n-th of millions is found without counting to it.

A row holds the counts of the 16 beginnings that share their first byte. Identifiers are hashes, evenly spread: with ten
million of them a beginning has some 2,500.
"""

from struct import Struct

from events.identifiers import Level
from store.batch import Batch
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


def fill(batch: Batch) -> None:
    """Count what there is, for an archive of before there were any counts: some seconds for ten million."""
    counts = {level: [[0] * 16 for _ in range(256)] for level in Level}
    for resource_id, place in batch.items(IDS, b""):
        counts[Level(place[0])][resource_id[0]][resource_id[1] >> 4] += 1
    for level, rows in counts.items():
        for first, row in enumerate(rows):
            if any(row):
                batch.put(ID_COUNTS, bytes((level, first)), COUNTS.pack(*row))
