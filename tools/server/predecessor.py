"""A start waits for what the server before it still holds: a port, or the lock of the index folder.

A killed server's processes end at once, but the kernel takes time to close their files and sockets: up to some hundred milliseconds
where much memory was mapped. If another process holds the port or lock, the start waits a moment for that process too, then it fails.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tools.server.holders import Holder

logger = logging.getLogger(__name__)

PATIENCE_S = 15.0  # for an earlier server that is ending, and for a port or lock without a visible holder
GRACE_S = 1.0  # with anybody else
POLL_S = 0.02  # the kernel announces the release to no process, so we look again and again

T = TypeVar("T")


def take(attempt: Callable[[], T | None], who: Callable[[], Holder | None], what: str) -> T | None:
    """Return the first result of `attempt` that is not None; None if there is no result for as long as it is worth waiting."""
    began_s = time.monotonic()
    has_said = False
    while (taken := attempt()) is None:
        holder = who()
        waited_s = time.monotonic() - began_s
        is_going = holder is None or holder.is_going()
        if waited_s > (PATIENCE_S if is_going else GRACE_S):
            return None
        if is_going and not has_said:
            has_said = True
            by = holder or "a process that cannot be seen"
            logger.warning("serve.waiting for=%s: held by %s, which ends; at most %d s", what, by, PATIENCE_S)
        time.sleep(POLL_S)
    if has_said:
        logger.warning("serve.waited for=%s after_s=%.2f", what, time.monotonic() - began_s)
    return taken
