"""Events about the labels of patients, studies, series and instances.

They have the aggregate of the resource's patient. The labels of a resource go with it; its deletion says so for all.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from events.event import Event, personal
from events.identifiers import Level, Ref

# Observed on Orthanc 1.12.7.
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def is_label(text: str) -> bool:
    """Tell whether a text can be a label: 1 to 64 letters and digits of ASCII, `_` and `-`."""
    return _LABEL.match(text) is not None


class LabelEvent(Event):
    """Family of the events that concern labels."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelAdded(LabelEvent):
    """A resource has a label that it did not have."""

    TAG: ClassVar[str] = "label-added/1"
    level: Level
    resource: Ref
    label: str = personal()  # a user's own words, so it may name anybody
    remote_ip: str = personal()
    username: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRemoved(LabelEvent):
    """A resource has lost a label that it had."""

    TAG: ClassVar[str] = "label-removed/1"
    level: Level
    resource: Ref
    label: str = personal()
    remote_ip: str = personal()
    username: str = personal()
