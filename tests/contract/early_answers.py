"""An application that answers before it has read a body, and bodies that come at once or late."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

ROUNDS = int(os.environ.get("SINOGRAM_EARLY_ANSWERS", "1"))  # of each case
LINES = (
    "401 Unauthorized",
    "404 Not Found",
    "405 Method Not Allowed",
    "413 Content Too Large",
    "501 Not Implemented",
    "503 Service Unavailable",
)
LATE_S = 0.1


def refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the status that the path names; nothing reads the body."""
    line = next((line for line in LINES if line.startswith(environ["PATH_INFO"][1:4])), "200 OK")
    start_response(line, [("Content-Length", "6")])
    return [b"answer"]


@dataclass(frozen=True)
class Body:
    """What is sent with a request. A late one comes when the answer has been there for long."""

    size_bytes: int
    is_chunked: bool = False
    is_late: bool = False

    def __str__(self) -> str:
        return f"{self.size_bytes} {'chunked' if self.is_chunked else 'stated'} {'late' if self.is_late else 'at once'}"

    def __len__(self) -> int:
        return self.size_bytes

    def __iter__(self) -> Iterator[bytes]:
        if self.is_late:
            threading.Event().wait(LATE_S)
        for start in range(0, self.size_bytes, 65_536):
            yield bytes(min(65_536, self.size_bytes - start))


BODIES = [
    Body(size, is_chunked, is_late)
    for size in (60, 200_000, 3_000_000)
    for is_chunked in (False, True)
    for is_late in (False, True)
]
