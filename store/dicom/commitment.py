"""The datasets of storage commitment (PS3.4 Annex J, PS3.3 §C.14), from and to plain values. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from events.errors import InvalidRequest
from store.dicom.dictionary import format_tag
from store.dicom.matching import Dataset
from store.dicom.tags import (
    FAILED_SOP_SEQUENCE,
    FAILURE_REASON,
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    REFERENCED_SOP_SEQUENCE,
    TRANSACTION_UID,
)

# Failure reasons (PS3.3 §C.14.1.1).
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_OBJECT_INSTANCE: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119

_LONGEST_UID: Final = 64
_LAST_REASON: Final = 0xFFFF


class Reference(NamedTuple):
    """An instance as both sides name it."""

    sop_class: str
    sop_instance: str


class Failure(NamedTuple):
    """An instance that is not vouched for."""

    sop_class: str
    sop_instance: str
    reason: int


class CommitmentReport(NamedTuple):
    """What one side has told the other."""

    transaction: str
    succeeded: Sequence[Reference]
    failed: Sequence[Failure]


def read_request(dataset: Dataset) -> tuple[str, list[Reference]]:
    """Return the transaction's UID and what is to be vouched for. Raises InvalidRequest."""
    return _transaction(dataset), [_reference(item) for item in _items(dataset, REFERENCED_SOP_SEQUENCE)]


def request_dataset(transaction: str, references: Iterable[Reference]) -> Dataset:
    return {TRANSACTION_UID: transaction, REFERENCED_SOP_SEQUENCE: tuple(map(_item, references))}


def read_report(dataset: Dataset, *, has_failures: bool) -> CommitmentReport:
    """Return a report; `has_failures` is what its event type says. Raises InvalidRequest.

    As by Orthanc 1.12.7, the event type says which list must be there. Failures count whatever it says, where Orthanc passes
    them over in a report of successes.
    """
    failed = _items(dataset, FAILED_SOP_SEQUENCE) if has_failures or FAILED_SOP_SEQUENCE in dataset else ()
    succeeded = () if failed and REFERENCED_SOP_SEQUENCE not in dataset else _items(dataset, REFERENCED_SOP_SEQUENCE)
    return CommitmentReport(
        _transaction(dataset),
        [_reference(item) for item in succeeded],
        [Failure(*_reference(item), _reason(item)) for item in failed],
    )


def report_dataset(report: CommitmentReport) -> Dataset:
    """Return a report's dataset; an empty list of successes is told only where there are no failures."""
    dataset: Dataset = {TRANSACTION_UID: report.transaction}
    if report.succeeded or not report.failed:
        dataset[REFERENCED_SOP_SEQUENCE] = tuple(map(_item, report.succeeded))
    if report.failed:
        dataset[FAILED_SOP_SEQUENCE] = tuple(
            {**_item(Reference(each.sop_class, each.sop_instance)), FAILURE_REASON: str(each.reason)}
            for each in report.failed
        )
    return dataset


def _item(reference: Reference) -> Dataset:
    return {REFERENCED_SOP_CLASS_UID: reference.sop_class, REFERENCED_SOP_INSTANCE_UID: reference.sop_instance}


def _transaction(dataset: Dataset) -> str:
    return _uid(dataset, TRANSACTION_UID, "Transaction UID (0008,1195)")


def _items(dataset: Dataset, tag: int) -> Sequence[Dataset]:
    items = dataset.get(tag)
    if not isinstance(items, tuple):
        raise InvalidRequest(f"the sequence ({format_tag(tag)}) is missing")
    return items


def _reference(item: Dataset) -> Reference:
    return Reference(
        _uid(item, REFERENCED_SOP_CLASS_UID, "Referenced SOP Class UID (0008,1150)"),
        _uid(item, REFERENCED_SOP_INSTANCE_UID, "Referenced SOP Instance UID (0008,1155)"),
    )


def _uid(dataset: Dataset, tag: int, name: str) -> str:
    value = dataset.get(tag)
    uid = value.strip() if isinstance(value, str) else ""
    if not 0 < len(uid) <= _LONGEST_UID:
        raise InvalidRequest(f"{name} is missing, empty or too long")
    return uid


def _reason(item: Dataset) -> int:
    value = item.get(FAILURE_REASON)
    if not isinstance(value, str) or not value.isdecimal() or int(value) > _LAST_REASON:
        raise InvalidRequest("Failure Reason (0008,1197) is missing or no number")
    return int(value)
