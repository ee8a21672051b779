"""What `/changes` reads of an instance's row without decoding it is what the whole row says."""

from itertools import product

import pytest

from events.identifiers import ResourceId
from store.damaged_rows import DamagedRow
from store.projections.rows import arrival_of, pack

ID = ResourceId(bytes(range(20)))
REFS = (1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1)
TIMES = (2**32, 1_700_000_000_000_000, 2**63 - 1)


@pytest.mark.parametrize("items", [13, 18])  # a list of up to 15 items begins with one byte, a longer one with three
def test_refs_of_any_size(items: int) -> None:
    for *refs, at_us in [*product(REFS, (5,), (9,), TIMES), *product((5,), REFS, REFS, TIMES[:1])]:
        assert arrival_of(pack([ID, *refs, at_us, *[b"x"] * items])) == (ID, at_us)


@pytest.mark.parametrize("row", [b"", pack([ID, 1, 2, 3, 4]), pack([ID, 1]), pack([ID, 1, 2, 3, "text"])])
def test_what_is_no_row_of_an_instance(row: bytes) -> None:
    with pytest.raises(DamagedRow):
        arrival_of(row)
