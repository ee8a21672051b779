"""What the thread of an interpreter (`actor.py`) does beside requests."""

from typing import Protocol


class Background(Protocol):
    """Work that the interpreter does when no request waits."""

    def step(self) -> float | None:
        """Do one thing and return in how many seconds there will be another; 0 is at once, None when there is news."""
        ...

    def on_defined(self) -> None:
        """Take note that callbacks were defined or removed, before the request that did it is answered."""
        ...
