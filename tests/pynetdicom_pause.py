"""A pause of pynetdicom's reactor that is one: its requests could else lose their answers.

Before each request pynetdicom (3.0.4) has its reactor pause: it clears an event and waits for `_is_paused`. A reactor that the request before has just
woken, and that does not run yet, still says so. It then takes the answer ("Received unexpected … service message"), and the request
times out. Here it pauses again, unless it has said that it runs.
"""

import sys
import threading
from typing import Any

_MODULE = "pynetdicom.association"


class _Checkpoint(threading.Event):
    """In place of an association's own event."""

    def __init__(self, association: Any) -> None:
        super().__init__()
        self._association = association
        self._gate = threading.Lock()

    def wait(self, timeout: float | None = None) -> bool:
        while True:
            is_set = super().wait(timeout)
            with self._gate:
                if self.is_set():
                    self._association._is_paused = False
                    return True
            if not is_set:
                return False

    def clear(self) -> None:
        with self._gate:
            super().clear()


def mend() -> None:
    """Mend all associations to come; nothing where nobody has imported pynetdicom."""
    module: Any = sys.modules.get(_MODULE)
    if module is None:
        return
    prepare = module.Association.__init__

    def prepare_with_checkpoint(association: Any, *arguments: Any, **named: Any) -> None:
        prepare(association, *arguments, **named)
        association._reactor_checkpoint = _Checkpoint(association)
        association._reactor_checkpoint.set()

    module.Association.__init__ = prepare_with_checkpoint
