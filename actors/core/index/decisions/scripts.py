"""Which events the commands of Lua scripts cause: failures of their callbacks, and values that they keep.

A command may come twice, when its sender did not hear that it took effect. A failure, a recovery and a value that are
recorded already are not recorded again; a second skip is (and counts one too many).
"""

from typing import Final

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.messages.commands import scripts as commands
from events import scripts as events
from events.errors import InvalidRequest
from store.batch import Batch
from store.projections.scripts import unpack_waiting
from store.tables import CALLBACKS_WAITING, KEY_VALUES, callback_key, key_value_key

# Name of the store and key make one key of LMDB, which holds 511 bytes.
MAX_STORE_BYTES: Final = 128
MAX_KEY_BYTES: Final = 255
MAX_VALUE_BYTES: Final = 1 << 20  # every version of a value stays in the log


def _fail(command: commands.RecordCallbackFailure, context: Context) -> Steps:
    if command.attempt > _attempts_before(context.batch, command.cause_seq, command.number):
        event = events.CallbackFailed(
            cause_seq=command.cause_seq,
            number=command.number,
            callback=command.callback,
            attempt=command.attempt,
            delay_ms=command.delay_ms,
            cause=command.cause,
            message=command.message,
        )
        yield Planned(event)


def _recover(command: commands.RecordCallbackRecovery, context: Context) -> Steps:
    if _attempts_before(context.batch, command.cause_seq, command.number):
        event = events.CallbackRecovered(
            cause_seq=command.cause_seq, number=command.number, callback=command.callback, attempt=command.attempt
        )
        yield Planned(event)


def _skip(command: commands.RecordCallbackSkip, _: Context) -> Steps:
    event = events.CallbackSkipped(
        cause_seq=command.cause_seq, number=command.number, callback=command.callback, attempts=command.attempts
    )
    yield Planned(event)


def _store(command: commands.StoreKeyValue, context: Context) -> Steps:
    check_key(command.store, command.key)
    if len(command.value) > MAX_VALUE_BYTES:
        raise InvalidRequest(f"a value holds at most {MAX_VALUE_BYTES} bytes, not {len(command.value)}")
    if context.batch.get(KEY_VALUES, key_value_key(command.store, command.key)) != command.value:
        yield Planned(events.KeyValueStored(store=command.store, key=command.key, value=command.value))


def _delete(command: commands.DeleteKeyValue, context: Context) -> Steps:
    check_key(command.store, command.key)
    context.outcome.reply = context.batch.get(KEY_VALUES, key_value_key(command.store, command.key)) is not None
    if context.outcome.reply:
        yield Planned(events.KeyValueDeleted(store=command.store, key=command.key))


def check_key(store: bytes, name: bytes) -> None:
    """Raise InvalidRequest for a store or key that cannot be."""
    if len(store) > MAX_STORE_BYTES:
        raise InvalidRequest(f"the name of a store holds at most {MAX_STORE_BYTES} bytes, not {len(store)}")
    if not 0 < len(name) <= MAX_KEY_BYTES:
        raise InvalidRequest(f"a key holds 1 to {MAX_KEY_BYTES} bytes, not {len(name)}")


def _attempts_before(batch: Batch, cause_seq: int, number: int) -> int:
    """Return how many failures of a callback are recorded; 0 unless it waits for another attempt."""
    row = batch.get(CALLBACKS_WAITING, callback_key(cause_seq, number))
    return 0 if row is None else unpack_waiting(row).attempt


DECISIONS: Decisions = {
    commands.RecordCallbackFailure: _fail,
    commands.RecordCallbackRecovery: _recover,
    commands.RecordCallbackSkip: _skip,
    commands.StoreKeyValue: _store,
    commands.DeleteKeyValue: _delete,
}
