"""Commands of scripts: failures of their callbacks, and values that they keep."""

from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCallbackFailure(Command):
    """Record that a callback has failed. Idempotent while it waits for another attempt."""

    ACTOR: ClassVar[str] = "lua"
    IS_RECORD: ClassVar[bool] = True
    cause_seq: int  # of the event for which it was called; 0 for none
    number: int  # which of the callbacks that this event calls
    callback: str
    attempt: int  # from 1
    delay_ms: int  # until the next attempt; 0: there is none (if there were others, RecordCallbackSkip follows)
    cause: str
    message: str
    correlation: bytes = b""  # of the event for which it was called; likewise below


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCallbackRecovery(Command):
    """Record that a callback which waited for another attempt has succeeded. Nothing, if it does not wait."""

    ACTOR: ClassVar[str] = "lua"
    RELEASES_FILES: ClassVar[bool] = True
    IS_RECORD: ClassVar[bool] = True
    cause_seq: int
    number: int
    callback: str
    attempt: int  # the one that succeeded
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCallbackSkip(Command):
    """Record that a callback is given up; it does not wait for another attempt any more."""

    ACTOR: ClassVar[str] = "lua"
    RELEASES_FILES: ClassVar[bool] = True
    IS_RECORD: ClassVar[bool] = True
    cause_seq: int
    number: int
    callback: str
    attempts: int
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKeyValue(Command):
    """Keep a value for scripts, in place of any that is there. Raises InvalidRequest for what is too long."""

    ACTOR: ClassVar[str] = "lua"
    store: bytes
    key: bytes
    value: bytes
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteKeyValue(Command):
    """Remove a value that a script keeps. Replies whether there was one. Raises InvalidRequest."""

    ACTOR: ClassVar[str] = "lua"
    store: bytes
    key: bytes
    correlation: bytes = b""
