"""Commands about labels."""

from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command
from events.identifiers import Level, ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class AddLabel(Command):
    """Give a resource a label; nothing, if it has it. Raises NotFound, and InvalidRequest for what can be no label."""

    ACTOR: ClassVar[str] = "rest"
    level: Level
    id: ResourceId
    label: str
    remote_ip: str
    username: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLabel(Command):
    """Take a label from a resource; nothing, if it does not have it. Raises as AddLabel does."""

    ACTOR: ClassVar[str] = "rest"
    level: Level
    id: ResourceId
    label: str
    remote_ip: str
    username: str
    correlation: bytes
