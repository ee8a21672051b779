"""The read model of storage commitment: each transaction that is remembered, what was asked and what was reported.

A row lies under the sequence of the event that made it, so that the oldest come first; another table finds it by its UID.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from events.commitments import CommitmentEvent, CommitmentForgotten, CommitmentReported, CommitmentRequested
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended, GetRow
from store.projections.projection import BESIDE_SERVER, OF_SERVER, Projection, without
from store.tables import COMMITMENT_IDS, COMMITMENTS, cut_value, key


@dataclass(frozen=True, slots=True)
class Report:
    """What a modality has said."""

    remote_aet: str
    succeeded: Sequence[Sequence[str]]  # SOP class and SOP instance of each
    failed: Sequence[tuple[str, str, int]]  # and the Failure Reason


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction of storage commitment."""

    uid: str
    asked_aet: str  # "" if this server has not asked, or has forgotten that it has
    references: Sequence[Sequence[str]]  # that were asked for: SOP class and SOP instance of each
    report: Report | None  # None: it is pending


def _key_of(uid: str) -> bytes:
    return cut_value(uid.encode())


def read_transaction(get: GetRow, uid: str) -> Transaction | None:
    """Return a transaction by its UID, None if it is unknown."""
    place = get(COMMITMENT_IDS, _key_of(uid))
    row = None if place is None else get(COMMITMENTS, place)
    return None if row is None else unpack_transaction(row)


def _pack(transaction: Transaction) -> bytes:
    report = transaction.report
    said = None if report is None else [report.remote_aet, report.succeeded, report.failed]
    packed: bytes = msgpack.packb([transaction.uid, transaction.asked_aet, transaction.references, said])
    return packed


@decodes
def unpack_transaction(row: bytes) -> Transaction:
    uid, asked_aet, references, said = msgpack.unpackb(row)
    return Transaction(uid, asked_aet, references, None if said is None else Report(*said))


def _request(batch: Batch, appended: Appended[CommitmentRequested]) -> None:
    event = appended.event
    _put(batch, appended, Transaction(event.transaction, event.remote_aet, event.references, None))


def _report(batch: Batch, appended: Appended[CommitmentReported]) -> None:
    event = appended.event
    known = read_transaction(batch.get, event.transaction)
    asked: tuple[str, Sequence[Any]] = ("", []) if known is None else (known.asked_aet, known.references)
    report = Report(event.remote_aet, event.succeeded, [(one, two, reason) for one, two, reason in event.failed])  # type: ignore[misc]  # as the event says
    _put(batch, appended, Transaction(event.transaction, *asked, report))


def _put(batch: Batch, appended: Appended[Any], transaction: Transaction) -> None:
    row_key = _key_of(transaction.uid)
    place = batch.get(COMMITMENT_IDS, row_key)
    if place is None:
        place = key(appended.seq)
        batch.put(COMMITMENT_IDS, row_key, place)
    batch.put(COMMITMENTS, place, _pack(transaction))


def _forget(batch: Batch, appended: Appended[CommitmentForgotten]) -> None:
    row_key = _key_of(appended.event.transaction)
    place = batch.get(COMMITMENT_IDS, row_key)
    if place is not None:
        batch.delete(COMMITMENTS, place)
        batch.delete(COMMITMENT_IDS, row_key)


PROJECTION = Projection(
    tables=(COMMITMENTS, COMMITMENT_IDS),
    handles={CommitmentRequested: _request, CommitmentReported: _report, CommitmentForgotten: _forget},
    ignores=(*without(OF_SERVER, CommitmentEvent), *BESIDE_SERVER),
)
