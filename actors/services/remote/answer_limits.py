"""How much a modality may answer to queries: to one of them, and to all whose answers are kept.

A list that is cut off would look like a whole one, so too many answers to a query are a failure of it, and the modality is told by a
C-CANCEL to stop. Orthanc takes answers until the disk or the memory is full.
"""

from dataclasses import dataclass
from typing import Final

from actors.services.remote.find_scu import Match
from actors.wire.errors import RemoteFailed
from events.options import MB, Option, Whole, filled_by

MEMORY_SHARE: Final = 8  # an answer as values takes that many times its bytes, and more
_ANSWER_BYTES: Final = 64  # what one costs that is empty: its place in the file and in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLimits:
    """In bytes; 0: no limit."""

    query_bytes: int = filled_by(Option("MaximumQueryAnswersSizeMB", Whole(unit="MB", factor=MB), 256))
    folder_bytes: int = filled_by(Option("MaximumQueryFolderSizeMB", Whole(unit="MB", factor=MB), 2048))

    def budget(self, peer: str, *, in_memory: bool = False) -> "AnswerBudget":
        """Return what counts the answers to one request; `in_memory`: which are not written to a file."""
        return AnswerBudget(self.query_bytes // MEMORY_SHARE if in_memory else self.query_bytes, peer)


class AnswerBudget:
    """What a peer may still answer."""

    def __init__(self, limit_bytes: int, peer: str) -> None:
        self._limit_bytes = limit_bytes
        self._peer = peer
        self._taken_bytes = 0

    def take(self, answer: Match) -> Match:
        """Count an answer, and return it. Raises RemoteFailed."""
        self._taken_bytes += len(answer.dataset) + _ANSWER_BYTES
        if self._limit_bytes and self._taken_bytes > self._limit_bytes:
            raise RemoteFailed(
                f'C-FIND SCU to AET "{self._peer}": its answers take more than {self._limit_bytes} bytes; '
                "ask for less, or raise MaximumQueryAnswersSizeMB"
            )
        return answer
