"""How much a callback may take."""

import math
from dataclasses import dataclass
from typing import Final

from events.options import MB, Option, Whole, filled_by

UNLIMITED_ANSWER_BYTES: Final = 1 << 30  # where LuaMemoryLimit is 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """0 is no limit."""

    # Of a callback or a script's loading, waiting for host functions included.
    timeout_s: float = filled_by(Option("LuaCallbackTimeout", Whole(unit="s"), 300))
    # Of Lua's virtual machine, counted in thousands; 10 million take 0.1 to 0.5 s.
    instructions: int = filled_by(Option("LuaInstructionLimit", Whole(), 0))
    memory_bytes: int = filled_by(Option("LuaMemoryLimit", Whole(unit="MB", factor=MB), 512))  # of one interpreter

    def deadline_s(self, now_s: float) -> float:
        return now_s + self.timeout_s if self.timeout_s > 0 else math.inf

    @property
    def budget(self) -> float:
        return self.instructions if self.instructions > 0 else math.inf

    @property
    def answer_bytes(self) -> int:
        """The most that an answer to a script's request may have: what would fit into its memory."""
        return self.memory_bytes or UNLIMITED_ANSWER_BYTES
