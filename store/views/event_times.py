"""How many events there were in each of some spans of time: the log's time never runs back, so their bounds are looked up."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from events import envelope
from events.errors import CorruptLog
from events.identifiers import Seq
from store.log import read_end
from store.tables import EVENTS, key
from store.views.snapshot import Snapshot


def count_over_time(snapshot: Snapshot, bounds_us: Sequence[int]) -> list[int]:
    """Return the number of events between each two of some moments, which rise. A bound costs a look at 20 rows of a log of a million."""
    end, _ = read_end(snapshot.txn, snapshot.tables)

    def at_us(seq: int) -> int:
        row = snapshot.row(EVENTS, key(seq))
        if row is None:
            raise CorruptLog(f"event {seq} is missing")
        return envelope.decode_record(Seq(seq), row).at_us

    places = [1]
    for bound_us in bounds_us:
        places.append(bisect_left(range(end + 1), bound_us, places[-1], key=at_us))
    return [behind - first for first, behind in pairwise(places[1:])]
