"""Commands about the limits of the archive."""

from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleExcess(Command):
    """Recycle some of the patients that are too many since the limits were lowered. Replies whether there are more.

    Raises LimitReached, and recycles nothing, if protected patients alone exceed a limit.
    """

    ACTOR: ClassVar[str] = "recycling"
    FREES_SPACE: ClassVar[bool] = True
