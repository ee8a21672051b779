"""Events about Lua scripts: callbacks that failed, and what scripts keep in the index.

A callback is called for an event of the log (`cause_seq`), which may call several: `number` counts them from 0. What a
callback does that succeeds at once is not recorded here; its effects have events of their own. `cause_seq` is 0 where no
event caused the call: a filter, or the heart beat.
"""

from dataclasses import dataclass
from typing import ClassVar

from events.event import Event, personal


class ScriptEvent(Event):
    """Family of the events that concern scripts."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFailed(ScriptEvent):
    """A callback ended in an error, or was ended."""

    TAG: ClassVar[str] = "callback-failed/1"
    cause_seq: int
    number: int
    callback: str
    attempt: int  # from 1
    delay_ms: int  # after this event it is called again; 0: it is not
    cause: str  # what kind of failure: of actors.services.scripts.errors.Cause
    message: str = personal()  # of the script, so it may name anybody


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRecovered(ScriptEvent):
    """A callback that had failed has succeeded."""

    TAG: ClassVar[str] = "callback-recovered/1"
    cause_seq: int
    number: int
    callback: str
    attempt: int  # the one that succeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSkipped(ScriptEvent):
    """A callback that had failed is given up."""

    TAG: ClassVar[str] = "callback-skipped/1"
    cause_seq: int
    number: int
    callback: str
    attempts: int  # how many there were


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueStored(ScriptEvent):
    """A script keeps a value under a key, in place of any it had there."""

    TAG: ClassVar[str] = "key-value-stored/1"
    store: bytes = personal()  # names a set of keys
    key: bytes = personal()
    value: bytes = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueDeleted(ScriptEvent):
    """A script has deleted a value."""

    TAG: ClassVar[str] = "key-value-deleted/1"
    store: bytes = personal()
    key: bytes = personal()
