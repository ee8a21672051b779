"""The first values of an order, read from the end of an index, are those that all of it would give: whatever texts are in it."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.dicom.matching import fold
from store.environment import Environment
from store.projections.find import index_text
from store.tables import FIND, FindKind, find_prefix, key
from store.views import find_ends
from store.views.find_ends import first_keys
from store.views.find_order import sort
from store.views.find_plan import whole_kind
from store.views.query import Order
from store.views.snapshot import Snapshot
from tests.examples import examples

KINDS = [FindKind.STUDY_DATE, FindKind.STUDY_PATIENT_NAME]  # as it is, in upper case
# Between padding, letters of both cases and beyond ASCII, what stands between those in the order of bytes.
some = st.text("AB a\té~", max_size=3)
texts = st.one_of(
    some,
    some,
    some,
    st.text("A!\0\x01日", max_size=4),
    st.sampled_from(["L" * 199, "L" * 200, "L" * 201 + "A", "L" * 201 + " "]),
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with Environment(tmp_path_factory.mktemp("ends"), writable=True, durable=False) as made:
        yield made


@settings(max_examples=examples(300), deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    values=st.lists(texts, min_size=4, max_size=20),
    wanted=st.integers(1, 4),
    descends=st.booleans(),
    skipped=st.one_of(st.just(set()), st.sets(st.integers(1, 20))),
)
@example(kind=FindKind.STUDY_DATE, values=["a", "A", "B"], wanted=1, descends=False, skipped=set())
@example(kind=FindKind.STUDY_PATIENT_NAME, values=["A~", "A~~", "B"], wanted=1, descends=False, skipped=set())
def test_the_first_of_an_index_are_those_of_all_of_it(
    environment: Environment, kind: FindKind, values: list[str], wanted: int, descends: bool, skipped: set[int]
) -> None:
    texts_of = dict(enumerate(values, 1))
    members = {key(ref) for ref in texts_of if ref not in skipped} if skipped else None
    named = [ref for ref in texts_of if members is None or key(ref) in members]
    with environment.begin(write=True) as txn:
        for ref, text in texts_of.items():
            txn.put(find_prefix(kind, index_text(kind, text)) + key(ref), b"", db=environment.tables[FIND])
        for other in (kind - 1, kind + 1):
            txn.put(bytes((other,)) + b"M\0" + key(99), b"", db=environment.tables[FIND])
        found = first_keys(Snapshot(txn, environment.tables), whole_kind(kind), wanted, members, descends=descends)
        txn.abort()
    if found is None:
        return
    refs = [int.from_bytes(each[-8:], "big") for each in found]
    assert len(refs) == len(set(refs))
    whole, read = ([[(ref, _normal(texts_of[ref])) for ref in some]] for some in (named, refs))
    terms = [Order(tag=1, descends=descends)]
    assert sort(read, terms, wanted) == sort(whole, terms, wanted)


def _normal(text: str) -> str:
    return "".join(each for each in fold(text) if ord(each) < 128).strip(" \t\n\r\v\f")


def test_an_end_is_read_no_further_than_is_wanted(environment: Environment) -> None:
    kind = FindKind.STUDY_DATE
    with environment.begin(write=True) as txn:
        for ref in range(1000):
            text = f"{20000000 + ref // 10}"
            txn.put(find_prefix(kind, text) + key(ref), b"", db=environment.tables[FIND])
        s = Snapshot(txn, environment.tables)
        with patch.object(find_ends, "READ", 40):
            for descends in (True, False):
                found = first_keys(s, whole_kind(kind), 15, None, descends=descends)
                assert found is not None
                assert len(found) == 20, "two days"
            assert first_keys(s, whole_kind(kind), 15, {key(0)}, descends=True) is None, "it is at the other end"
        assert first_keys(s, whole_kind(kind), 1001, None, descends=True) is None, "the others have no value"
        txn.abort()
