"""Events about the modality worklist (PS3.4 Annex K): entries that clients have made by REST. Files of a folder are no events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from events.event import personal
from events.server import ServerEvent


class WorklistEvent(ServerEvent):
    """Events of the server: which procedures are scheduled."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistStored(WorklistEvent):
    """`POST /worklists/create`, or `PUT` of an entry that is there, in whose place this one comes."""

    TAG: ClassVar[str] = "worklist-stored/1"
    id: str  # a UUID
    tags: Mapping[int, Any] = personal()  # text, or a list of items, each as this
    remote_ip: str = personal()
    username: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistRemoved(WorklistEvent):
    """An entry is gone."""

    TAG: ClassVar[str] = "worklist-removed/1"
    id: str
    reason: str  # "client", "age" (DeleteWorklistsDelay) or "stable-study" (DeleteWorklistsOnStableStudy)
    remote_ip: str = personal()
    username: str = personal()
