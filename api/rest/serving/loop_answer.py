"""Answers that the event loop makes itself, for clients that wait long: a listener holds no thread.

An application returns one in place of an iterable of bytes; what stands between it and the server passes it on unread.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it loads aiohttp, which the applications of scripts do without
    from api.rest.serving.waiting_client import WaitingClient


class LoopAnswer(ABC):
    """See the module's text. The server calls `close` once, whatever has happened before."""

    @abstractmethod
    async def send(self, client: "WaitingClient") -> None:
        """Write the body. Raises what ends the connection."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the answer holds."""

    def __iter__(self) -> Iterator[bytes]:
        raise TypeError("this answer is for clients of the HTTP server: nobody else can wait for it")
