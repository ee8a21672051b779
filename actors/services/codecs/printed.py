"""Text that a codec's libraries print on standard error: it goes to the log of the process that asked, marked as the codec's.

The pipe holds up neither side: of more than it takes (64 KiB in Linux) the rest is lost, and no reader waits.
"""

import contextlib
import logging
import os
from typing import Final

MOST_LINES: Final = 20  # of one frame; the others are counted
_READ_BYTES: Final = 1 << 16

log = logging.getLogger(__name__)


class Printed:
    """The pipe of one process."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def close_theirs(self) -> None:
        """Once the process has it."""
        os.close(self.theirs)

    def tell(self, pid: int, level: int) -> None:
        """Log what has been printed since the last time."""
        with contextlib.suppress(BlockingIOError):
            if data := os.read(self._ours, _READ_BYTES):
                lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
                for line in lines[:MOST_LINES]:
                    log.log(level, "codec.printed pid=%d: %s", pid, line)
                if more := len(lines[MOST_LINES:]):
                    log.log(level, "codec.printed pid=%d: … and %d more lines", pid, more)

    def close(self) -> None:
        os.close(self._ours)
