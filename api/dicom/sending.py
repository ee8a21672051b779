"""The sub-operations of a C-MOVE, in a thread of their own, so that the association they are asked on is listened to.

Without that thread, a C-CANCEL or the end of the association would wait for a destination that does not answer.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from actors.wire.dicom.ending import log_fault
from actors.wire.dicom.statuses import CANNOT_UNDERSTAND
from events.errors import SinogramError
from events.identifiers import ResourceId

log = logging.getLogger(__name__)


class Sender(Protocol):
    """Sends instances to one destination."""

    def send(self, position: int) -> int:
        """Do the C-STORE of an instance, by its place in the list; returns its status. Raises SinogramError."""
        ...

    @property
    def has_begun(self) -> bool:
        """Whether the destination may have the instance that `send` was last called for."""
        ...

    @property
    def is_hopeless(self) -> bool:
        """Whether the destination cannot be reached, so that nothing more need be tried."""
        ...

    def interrupt(self) -> None:
        """Let `send` fail at once, now and from now on. From any thread."""
        ...

    def close(self) -> None:
        """End what is open. Never raises."""
        ...


class Sending:
    """Sub-operations under way. Leaving the `with` block interrupts them and waits for their end."""

    def __init__(self, sender: Sender, instances: Sequence[ResourceId]) -> None:
        self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # readable when there is something to take
        self.is_over = False  # everything has been taken
        self._sender = sender
        self._instances = instances
        self._ended: deque[tuple[int, ResourceId] | None] = deque()
        self._interrupted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dicom-move", daemon=True)

    def take(self) -> list[tuple[int, ResourceId]]:
        """The sub-operations that have ended since, in order: status and instance. Does not wait."""
        try:
            os.eventfd_read(self.wake)
        except BlockingIOError:
            return []
        taken = []
        while self._ended:
            ended = self._ended.popleft()
            if ended is None:
                self.is_over = True
            else:
                taken.append(ended)
        return taken

    def interrupt(self) -> None:
        """Stop before the next sub-operation.

        One that is under way fails. If the destination may have got the instance, it counts as failed and not as remaining
        (PS3.4 §C.4.2.1.6: remaining are those that have not been invoked).
        """
        self._interrupted.set()
        self._sender.interrupt()

    def _run(self) -> None:
        try:
            for position, instance in enumerate(self._instances):
                if self._interrupted.is_set():
                    break
                status = CANNOT_UNDERSTAND if self._sender.is_hopeless else self._send(position)
                if self._interrupted.is_set() and status == CANNOT_UNDERSTAND and not self._sender.has_begun:
                    break
                self._tell((status, instance))
        finally:
            self._sender.close()
            self._tell(None)

    def _send(self, position: int) -> int:
        try:
            return self._sender.send(position)
        except SinogramError as exc:
            if not self._interrupted.is_set():
                log.warning("C-MOVE: an instance cannot be sent: %s: %s", type(exc).__name__, exc)
        except Exception as exc:  # noqa: BLE001 # a defect costs one instance
            log_fault("C-MOVE: an instance cannot be sent", exc)
        return CANNOT_UNDERSTAND

    def _tell(self, ended: tuple[int, ResourceId] | None) -> None:
        self._ended.append(ended)
        os.eventfd_write(self.wake, 1)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except RuntimeError:  # no thread can be started
            os.close(self.wake)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if not self.is_over:
            self.interrupt()
        self._thread.join()
        os.close(self.wake)
