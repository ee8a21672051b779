"""The counts of sub-operations and the response they end in, whatever the C-STOREs have come to."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.wire.dicom.command import Element
from api.dicom.retrieve import SubOperations, _encode_failed, parse_named
from api.dicom.status import IdentifierMismatch
from store.dicom.identifier import decode_dataset
from store.dicom.matching import Value
from store.tables import LookupKind

COUNTS = (
    Element.REMAINING_SUBOPERATIONS,
    Element.COMPLETED_SUBOPERATIONS,
    Element.FAILED_SUBOPERATIONS,
    Element.WARNING_SUBOPERATIONS,
)
STATUSES = (0, 0, 0x0107, 0xB000, 0xB007, 0xA700, 0xC000, 0x0122)
PENDING, CANCELLED = 0xFF00, 0xFE00


def counted(statuses: Iterable[int], total: int) -> SubOperations:
    done = SubOperations(total)
    for place, status in enumerate(statuses):
        done.count(status, f"1.{place}")
        counts = done.elements(PENDING)
        assert sum(int(counts[element]) for element in COUNTS) == total
    return done


@given(statuses=st.lists(st.sampled_from(STATUSES)), left=st.integers(0, 3), is_cancelled=st.booleans())
def test_counts_add_up_and_the_status_says_what_they_say(*, statuses: list[int], left: int, is_cancelled: bool) -> None:
    done = counted(statuses, len(statuses) + (left if is_cancelled else 0))
    done.is_cancelled = is_cancelled
    counts = done.elements(done.status)
    assert sum(int(counts.get(element, 0)) for element in COUNTS) == len(statuses) + done.remaining
    assert (Element.REMAINING_SUBOPERATIONS in counts) == (done.status == CANCELLED) == (done.remaining > 0)
    assert len(done.failed_uids) == done.failed
    if done.status == 0:
        assert not done.failed
        assert not done.warnings
    if done.status == 0xA702:
        assert done.failed == len(statuses) > 0
    if done.status == 0xB000:
        assert done.failed or done.warnings


def test_more_than_a_count_can_hold_stays_at_its_end() -> None:
    assert SubOperations(70_000).elements(PENDING)[Element.REMAINING_SUBOPERATIONS] == 0xFFFF


def test_the_list_of_failures_ends_between_two_uids() -> None:
    uids = [f"2.25.{number:060d}" for number in range(2000)]
    (encoded,) = _encode_failed(uids, "1.2.840.10008.1.2.1")
    assert len(encoded) < 0xFFFE
    told = decode_dataset(encoded, "1.2.840.10008.1.2.1", "Ascii")[0][0x00080058]
    assert isinstance(told, str)
    kept = told.split("\\")
    assert len(kept) > 800
    assert kept == uids[: len(kept)]


def test_an_identifier_is_read_with_what_is_above() -> None:
    named = parse_named({0x00080052: "SERIES ", 0x0020000E: "1.2 \\1.3\\", 0x0020000D: "1", 0x00100020: "A\\B"})
    assert (named.kind, named.values) == (LookupKind.SERIES_INSTANCE_UID, ("1.2", "1.3"))
    assert named.above == {LookupKind.STUDY_INSTANCE_UID: "1"}


@pytest.mark.parametrize("value", [None, "", "\\", ({},)])
def test_an_identifier_without_value_is_refused(value: Value) -> None:
    with pytest.raises(IdentifierMismatch):
        parse_named({0x00080052: "STUDY", 0x0020000D: value})


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("PATIENTS", LookupKind.PATIENT_ID),
        ("studies", LookupKind.STUDY_INSTANCE_UID),
        ("SERIES", LookupKind.SERIES_INSTANCE_UID),
        ("Images ", LookupKind.SOP_INSTANCE_UID),
        ("INSTANCES", LookupKind.SOP_INSTANCE_UID),
    ],
)
def test_a_level_may_be_named_in_plural(word: str, kind: LookupKind) -> None:
    keys: dict[int, Value] = {0x00100020: "P", 0x0020000D: "1", 0x0020000E: "2", 0x00080018: "3"}
    assert parse_named(keys | {0x00080052: word}).kind == kind


@pytest.mark.parametrize("word", ["STUDYS", "IMAGE\\SERIES", "FRAME"])
def test_other_words_name_no_level(word: str) -> None:
    with pytest.raises(IdentifierMismatch):
        parse_named({0x00080052: word, 0x0020000D: "1"})
