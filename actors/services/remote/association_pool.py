"""Associations that are not in use, kept for a while for the next user of one like it.

Thread-safe. A thread of the pool releases those that are kept longer than the pool's delay. It lives while
there is something to wait for.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from actors.services.remote.association import Association
from actors.wire.interruption import Interruption

MOST_KEPT: Final = 16  # then the one that was used longest ago is released


class Negotiated(Protocol):
    """An association with what it was negotiated for."""

    @property
    def association(self) -> Association: ...


N = TypeVar("N", bound=Negotiated)


@dataclass(frozen=True, slots=True, eq=False)
class _Kept(Generic[N]):
    negotiated: N
    until_s: float  # of the monotonic clock


class AssociationPool(Generic[N]):
    """See the module's text."""

    def __init__(self, close_delay_s: float) -> None:
        """`close_delay_s` 0: nothing is kept."""
        self._close_delay_s = close_delay_s
        self._kept: list[_Kept[N]] = []  # in the order of their ends
        self._changed = threading.Condition()
        self._closer: threading.Thread | None = None

    def take(self, fits: Callable[[N], bool], interruption: Interruption) -> N | None:
        """Return an association that fits, from now on the caller's; None if none is kept."""
        while (found := self._pick(fits)) is not None:
            if found.association.is_still_open():
                found.association.attach(interruption)
                return found
            found.association.abort()
        return None

    def _pick(self, fits: Callable[[N], bool]) -> N | None:
        with self._changed:
            for kept in reversed(self._kept):
                if fits(kept.negotiated):
                    self._kept.remove(kept)
                    return kept.negotiated
        return None

    def give_back(self, negotiated: N) -> None:
        """Keep an association for the next use, or end it. It is no longer the caller's."""
        association = negotiated.association
        association.detach()
        if not association.is_usable or not self._close_delay_s:
            association.release()
            return
        with self._changed:
            self._kept.append(_Kept(negotiated, time.monotonic() + self._close_delay_s))
            surplus = self._kept.pop(0) if len(self._kept) > MOST_KEPT else None
            if self._closer is None:
                self._closer = threading.Thread(target=self._close_overdue, name="dicom-close", daemon=True)
                self._closer.start()
        if surplus is not None:
            surplus.negotiated.association.release()

    def close(self) -> None:
        """Release everything that is kept, and keep nothing from now on."""
        with self._changed:
            self._close_delay_s = 0
            kept, self._kept = self._kept, []
            closer = self._closer
            self._changed.notify()
        # At once: each may wait some seconds for a peer that does not answer.
        releases = [threading.Thread(target=each.negotiated.association.release) for each in kept]
        for release in releases:
            release.start()
        for release in releases:
            release.join()
        if closer is not None:
            closer.join()

    def _close_overdue(self) -> None:
        while (overdue := self._wait_for_overdue()) is not None:
            overdue.negotiated.association.release()

    def _wait_for_overdue(self) -> _Kept[N] | None:
        """Wait until an association has been kept long enough; None, and the thread's end, if none is kept."""
        with self._changed:
            while self._kept:
                left = self._kept[0].until_s - time.monotonic()
                if left <= 0:
                    return self._kept.pop(0)
                self._changed.wait(left)
            self._closer = None
            return None
