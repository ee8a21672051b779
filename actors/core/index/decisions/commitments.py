"""Decisions about storage commitment: which transactions are remembered."""

from collections.abc import Iterator

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.messages.commands import commitments as commands
from events import commitments as events
from store.batch import Batch
from store.projections.commitments import read_transaction, unpack_transaction
from store.tables import COMMITMENTS


def _request(command: commands.RequestCommitment, context: Context) -> Steps:
    if read_transaction(context.batch.get, command.transaction) is not None:
        return
    yield from _make_room(context.batch, command.most)
    yield Planned(
        events.CommitmentRequested(
            transaction=command.transaction, remote_aet=command.remote_aet, references=command.references
        )
    )


def _report(command: commands.ReportCommitment, context: Context) -> Steps:
    if read_transaction(context.batch.get, command.transaction) is None:
        yield from _make_room(context.batch, command.most)
    yield Planned(
        events.CommitmentReported(
            transaction=command.transaction,
            remote_aet=command.remote_aet,
            succeeded=command.succeeded,
            failed=command.failed,
        )
    )


def _forget(command: commands.ForgetCommitment, context: Context) -> Steps:
    known = read_transaction(context.batch.get, command.transaction)
    if known is not None and known.report is None:
        yield Planned(events.CommitmentForgotten(transaction=command.transaction))


def _make_room(batch: Batch, most: int) -> Iterator[Planned]:
    """Forget the oldest, so that one more is not more than `most`."""
    rows = list(batch.keys(COMMITMENTS, b"")) if most else []  # the oldest first
    for row_key in rows[: max(0, len(rows) + 1 - most)]:
        row = batch.get(COMMITMENTS, row_key)
        assert row is not None
        yield Planned(events.CommitmentForgotten(transaction=unpack_transaction(row).uid))


DECISIONS: Decisions = {
    commands.RequestCommitment: _request,
    commands.ReportCommitment: _report,
    commands.ForgetCommitment: _forget,
}
