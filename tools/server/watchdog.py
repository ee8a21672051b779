"""Tells which interpreters of scripts are stuck, from what their processes leave on their boards (`actors.services.scripts.heartbeat`).

Three signs: a callback, or what is done between two, has passed its deadline and does not notice; so has one that waits in a function
of ours, which looks at the deadline itself; or no thread of the process runs any more, whatever it is doing and whether or not that has
a limit. The last is counted in looks, not in time: a machine that was stopped for an hour has not ticked for an hour.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from actors.services.scripts.board import Board

LOOK_S: Final = 1.0  # between two looks
GRACE_S: Final = 5.0  # beyond the deadline of a callback, which normally ends it
WAITING_GRACE_S: Final = 15.0  # of one in a function of ours: large values are copied with no look at the clock
STILL_LOOKS: Final = 30  # without a tick; reading 500 MB of JSON holds Python's lock for 10 s


@dataclass(slots=True)
class _Life:
    ticks: int = 0
    still: int = 0  # looks at which there was no tick
    looked_s: float = 0.0


class Watchdog:
    """Looks after the interpreters of one run of the server."""

    def __init__(self, boards: Mapping[str, Board]) -> None:
        self._boards = boards
        self._lives = {role: _Life() for role in boards}

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self._boards)

    def find_stuck(self, now_s: float) -> Iterator[tuple[str, str]]:
        """Yield the role of each interpreter that has to be killed, and what it is stuck in."""
        for role, board in self._boards.items():
            activity = board.heartbeat.read()
            if self._is_still(self._lives[role], board.heartbeat.ticks(), now_s):
                yield role, f"{activity.name or 'no callback'}; none of its threads runs"
            elif activity.is_stuck(now_s, GRACE_S, WAITING_GRACE_S):
                yield role, activity.name

    def note_killed(self, role: str) -> None:
        """Leave a note for the process that replaces an interpreter which is about to be killed."""
        board = self._boards[role]
        board.mark_killed(board.heartbeat.read().name)

    def forget(self, role: str) -> None:
        """Clear the record of an interpreter that is gone: the process that replaces it would seem stuck in it."""
        self._boards[role].heartbeat.clear()
        self._lives[role] = _Life()

    @staticmethod
    def _is_still(life: _Life, ticks: int, now_s: float) -> bool:
        if ticks != life.ticks or not ticks:
            life.ticks, life.still, life.looked_s = ticks, 0, now_s
        elif now_s >= life.looked_s + LOOK_S * 0.9:
            life.still, life.looked_s = life.still + 1, now_s
        return life.still >= STILL_LOOKS
