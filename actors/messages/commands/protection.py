"""Commands about the protection of patients."""

from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command
from events.identifiers import ResourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class SetProtection(Command):
    """Protect a patient against recycling, or end that; nothing, if it is so already. Raises NotFound."""

    ACTOR: ClassVar[str] = "rest"
    id: ResourceId
    is_protected: bool
    remote_ip: str
    username: str
    correlation: bytes
