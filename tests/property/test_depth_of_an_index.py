"""A page that is read deep in an index is that of the whole order; where texts have another order than their keys, none is told."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.environment import Environment
from store.tables import FIND, FindKind, find_prefix, key
from store.views import find_depth
from store.views.find_depth import Depths
from store.views.find_index import Span
from store.views.find_order import sort
from store.views.find_plan import whole_kind
from store.views.query import Order
from store.views.snapshot import Snapshot
from tests.examples import examples

KIND = FindKind.STUDY_DATE
texts = st.one_of(st.text("AB!", max_size=2), st.text("0123", min_size=2, max_size=2))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with Environment(tmp_path_factory.mktemp("depths"), writable=True, durable=False) as made:
        yield made


def _pages(
    environment: Environment, values: list[str], span: Span, since: int, limit: int, *, descends: bool
) -> list[list[bytes] | None]:
    """Return a page that is asked for twice: marks are made, then used."""
    with environment.begin(write=True) as txn:
        for ref, text in enumerate(values, 1):
            txn.put(find_prefix(KIND, text) + key(ref), b"", db=environment.tables[FIND])
        for other in (KIND - 1, KIND + 1):
            txn.put(bytes((other,)) + b"A\0" + key(99), b"", db=environment.tables[FIND])
        s, depths = Snapshot(txn, environment.tables), Depths()
        found = [depths.page(s, span, since, limit, descends=descends) for _ in range(2)]
        txn.abort()
    return found


@settings(max_examples=examples(200), deadline=None)
@given(
    values=st.lists(texts, min_size=1, max_size=25),
    since=st.integers(0, 26),
    limit=st.integers(1, 6),
    descends=st.booleans(),
    marked=st.sampled_from([1, 2, 3, 7]),
    is_part=st.booleans(),
)
def test_a_page_in_the_depth_is_that_of_the_whole_order(
    environment: Environment, values: list[str], since: int, limit: int, descends: bool, marked: int, is_part: bool
) -> None:
    start = bytes((KIND,))
    span = Span(FIND, start + b"1", start + b"A") if is_part else whole_kind(KIND)
    with patch.object(find_depth, "DEEP", 0), patch.object(find_depth, "MARKED", marked):
        found, again = _pages(environment, values, span, since, limit, descends=descends)
    named = [(ref, text) for ref, text in enumerate(values, 1) if not is_part or "1" <= text < "A"]
    whole = [ref for ref, _ in sort([named], [Order(tag=1, descends=descends)], 0)]
    assert found == again
    assert [int.from_bytes(each[-8:], "big") for each in found or []] == whole[since:][:limit]
    assert (found is None) == (since >= len(whole))


@settings(max_examples=examples(100), deadline=None)
@given(values=st.lists(texts, max_size=8), other=st.sampled_from(["a", " A", "A ", "A\0", "É", "\tA", "L" * 201]))
@example(values=[], other="B" + "L" * 300)
def test_other_texts_have_no_depth(environment: Environment, values: list[str], other: str) -> None:
    with patch.object(find_depth, "DEEP", 0):
        found = _pages(environment, [*values, other, "A"], whole_kind(KIND), 0, 3, descends=True)
    assert found == [None, None]


def test_pages_near_the_beginning_make_no_marks(environment: Environment) -> None:
    assert _pages(environment, ["A", "B"], whole_kind(KIND), 1, 1, descends=False) == [None, None]
