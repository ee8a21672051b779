"""Decisions about entries of the modality worklist."""

from typing import Final

import msgpack

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.messages.commands import worklists as commands
from events import worklists as events
from events.errors import InvalidRequest, NotFound
from store.tables import WORKLISTS

MOST_BYTES: Final = 1 << 20  # of an entry


def _store(command: commands.StoreWorklist, context: Context) -> Steps:
    if len(msgpack.packb(command.tags)) > MOST_BYTES:
        raise InvalidRequest(f"a worklist entry of more than {MOST_BYTES} bytes")
    if not command.is_new and context.batch.get(WORKLISTS, command.id.encode()) is None:
        raise NotFound("no such worklist entry")
    yield Planned(
        events.WorklistStored(id=command.id, tags=command.tags, remote_ip=command.remote_ip, username=command.username)
    )


def _remove(command: commands.RemoveWorklist, context: Context) -> Steps:
    context.outcome.reply = context.batch.get(WORKLISTS, command.id.encode()) is not None
    if context.outcome.reply:
        yield Planned(
            events.WorklistRemoved(
                id=command.id, reason=command.reason, remote_ip=command.remote_ip, username=command.username
            )
        )


DECISIONS: Decisions = {
    commands.StoreWorklist: _store,
    commands.RemoveWorklist: _remove,
}
