"""Commands about peers, as those about modalities in `server`."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from actors.messages.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePeer(Command):
    """Add or replace a peer in the log; it outlives the run."""

    ACTOR: ClassVar[str] = "rest"
    values: dict[str, Any] = field(repr=False)  # of actors.wire.http.peer.to_plain: secrets, too
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePeer(Command):
    """Remove a peer from the log. Replies whether there was one."""

    ACTOR: ClassVar[str] = "rest"
    name: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePeer(Command):
    """Add or replace a peer until the next start."""

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    values: dict[str, Any] = field(repr=False)  # of actors.wire.http.peer.to_plain: secrets, too
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPeer(Command):
    """Have no such peer until the next start; who sends it has looked whether there is one."""

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    name: str
    correlation: bytes
