"""Which events the commands of Lua scripts cause: failures of their callbacks, and what they keep.

A command may come twice, when its sender did not hear that it took effect. A failure, a recovery and a value that are
recorded already are not recorded again; a second skip is (and counts one too many).
"""

from typing import Final

from actors.core.index.outcome import Context, Outcome, Planned, Steps
from actors.messages.commands import (
    Command,
    DeleteKeyValue,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    RecordCallbackSkip,
    StoreKeyValue,
)
from events.errors import InvalidRequest
from events.scripts import (
    CallbackFailed,
    CallbackRecovered,
    CallbackSkipped,
    KeyValueDeleted,
    KeyValueStored,
)
from store.batch import Batch
from store.projections.scripts import unpack_waiting
from store.tables import CALLBACKS_WAITING, KEY_VALUES, callback_key, key_value_key

SCRIPT_COMMANDS = (
    RecordCallbackFailure,
    RecordCallbackRecovery,
    RecordCallbackSkip,
    StoreKeyValue,
    DeleteKeyValue,
)
# Name of the store and key make one key of LMDB, which holds 511 bytes.
MAX_STORE_BYTES: Final = 128
MAX_KEY_BYTES: Final = 255
MAX_VALUE_BYTES: Final = 1 << 20  # every version of a value stays in the log


def decide_script(command: Command, context: Context, outcome: Outcome) -> Steps:
    """Yield the events of a command; fill in the outcome."""
    batch = context.batch
    match command:
        case RecordCallbackFailure():
            if command.attempt > _attempts_before(batch, command.cause_seq, command.number):
                yield Planned(_failed(command))
        case RecordCallbackRecovery():
            if _attempts_before(batch, command.cause_seq, command.number):
                yield Planned(_recovered(command))
        case RecordCallbackSkip():
            yield Planned(_skipped(command))
        case StoreKeyValue():
            check_key(command.store, command.key)
            if len(command.value) > MAX_VALUE_BYTES:
                raise InvalidRequest(f"a value holds at most {MAX_VALUE_BYTES} bytes, not {len(command.value)}")
            if batch.get(KEY_VALUES, key_value_key(command.store, command.key)) != command.value:
                yield Planned(KeyValueStored(store=command.store, key=command.key, value=command.value))
        case DeleteKeyValue():
            check_key(command.store, command.key)
            outcome.reply = batch.get(KEY_VALUES, key_value_key(command.store, command.key)) is not None
            if outcome.reply:
                yield Planned(KeyValueDeleted(store=command.store, key=command.key))
        case _:
            raise TypeError(type(command).__name__)


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


def _failed(command: RecordCallbackFailure) -> CallbackFailed:
    return CallbackFailed(
        cause_seq=command.cause_seq,
        number=command.number,
        callback=command.callback,
        attempt=command.attempt,
        delay_ms=command.delay_ms,
        cause=command.cause,
        message=command.message,
    )


def _recovered(command: RecordCallbackRecovery) -> CallbackRecovered:
    return CallbackRecovered(
        cause_seq=command.cause_seq, number=command.number, callback=command.callback, attempt=command.attempt
    )


def _skipped(command: RecordCallbackSkip) -> CallbackSkipped:
    return CallbackSkipped(
        cause_seq=command.cause_seq, number=command.number, callback=command.callback, attempts=command.attempts
    )
