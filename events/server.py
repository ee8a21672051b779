"""Events about the server itself."""

from dataclasses import dataclass
from typing import ClassVar

from events.event import Event


class ServerEvent(Event):
    """Family of the events that concern no resource."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesCleared(ServerEvent):
    """`DELETE /changes`: the change feed starts anew. The log keeps everything."""

    TAG: ClassVar[str] = "changes-cleared/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportsCleared(ServerEvent):
    """`DELETE /exports`: the list of exported resources starts anew."""

    TAG: ClassVar[str] = "exports-cleared/1"
