"""A dry replay of scripts (`actors.services.lua.rehearsal`), as who has asked for it sees it."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from actors.services.scripts.errors import ScriptFailed
from actors.services.scripts.heartbeat import Activity
from events.identifiers import Seq

MOST_EFFECTS: Final = 1_000  # of a callback that are told; the others are counted
NO_SEQ: Final = Seq(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayWanted:
    """Which scripts are tried on which events."""

    # Names and sources, in the order in which they are loaded; None: those of `LuaScripts`, as their files are now.
    scripts: tuple[tuple[str, bytes], ...] | None = field(repr=False)
    since: int  # the first event, 1 or more
    until: int  # the last one


@dataclass(slots=True, kw_only=True)
class Rehearsed:
    """A callback that has been called, or a script that was loaded (`callback` is "" then), and what it would have done."""

    seq: Seq = NO_SEQ  # of the event; 0: no event caused it
    at_us: int = 0
    callback: str
    subject: str = ""  # the resource or job that the callback is told of; the script that is loaded
    is_partial: bool = False  # of what is gone since, only the main tags were left to tell
    effects: list[tuple[str, str]] = field(default_factory=list)  # kind and text
    left_out: int = 0
    failure: ScriptFailed | None = None
    seconds: float = 0.0

    def note(self, kind: str, text: str) -> None:
        if len(self.effects) < MOST_EFFECTS:
            self.effects.append((kind, text))
        else:
            self.left_out += 1


class Replay(Protocol):
    """A process that replays. It has no effects, so it may be ended at any moment."""

    @property
    def fd(self) -> int:
        """What it tells comes here: lines of JSON. Does not block."""
        ...

    def look(self) -> tuple[int, Activity]:
        """Return the event that is under way (0: none), and what is done."""
        ...

    def is_stuck(self) -> bool:
        """Tell whether a callback has passed its time and does not even notice."""
        ...

    def end(self) -> None:
        """End it at once, and give back what it holds; may be called again."""
        ...
