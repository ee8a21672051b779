"""How many clients may do at once what goes on for long."""

from collections.abc import Callable

from actors.wire.board import Gauge
from events.errors import Busy


class Places:
    """Places in all processes of the server, which a gauge counts. Thread-safe.

    Nothing locks the processes against each other: at the very limit, each of them may let one more in.
    """

    def __init__(self, taken: Gauge, limit: int, refusal: str) -> None:
        """`refusal` tells who finds no place why."""
        self._taken = taken
        self._limit = limit
        self._refusal = refusal

    def take(self) -> Callable[[], None]:
        """Take a place; returns what gives it back, once. Raises Busy where there is none."""
        if self._taken.total() >= self._limit:
            raise Busy(self._refusal)
        self._taken.add(1)
        is_taken = True

        def give_back() -> None:
            nonlocal is_taken
            if is_taken:
                is_taken = False
                self._taken.add(-1)

        return give_back
