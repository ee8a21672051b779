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
    places = [1]
    for bound_us in bounds_us:
        places.append(find_first_since(snapshot, bound_us, places[-1]))
    return [behind - first for first, behind in pairwise(places[1:])]


def find_first_since(snapshot: Snapshot, moment_us: int, first: int = 1) -> int:
    """Return the first event, from `first` on, of this moment or later; the one that would come next where there is none."""
    end, _ = read_end(snapshot.txn, snapshot.tables)

    def at_us(seq: int) -> int:
        row = snapshot.row(EVENTS, key(seq))
        if row is None:
            raise CorruptLog(f"event {seq} is missing")
        return envelope.decode_record(Seq(seq), row).at_us

    return bisect_left(range(end + 1), moment_us, first, key=at_us)
