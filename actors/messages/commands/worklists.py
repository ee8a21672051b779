"""Commands about entries of the modality worklist."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from actors.messages.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreWorklist(Command):
    """Add an entry, or replace one. Raises NotFound if one is to be replaced that is not there, InvalidRequest beyond 1 MiB."""

    ACTOR: ClassVar[str] = "rest"
    id: str
    tags: Mapping[int, Any]  # text, or a list of items, each as this
    is_new: bool
    remote_ip: str
    username: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveWorklist(Command):
    """Remove an entry. Replies whether it was there."""

    ACTOR: ClassVar[str] = "worklist"
    id: str
    reason: str  # as `events.worklists.WorklistRemoved` has it
    remote_ip: str
    username: str
    correlation: bytes
