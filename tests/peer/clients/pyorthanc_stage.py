"""What drives `pyorthanc`: its two clients, with note taken of the methods that were called.

Both have a method a route of Orthanc 1.12.11, named after it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pyorthanc import AsyncOrthanc, Orthanc

LEVELS = ("patients", "studies", "series", "instances")
NAMES = {"patients": "Patient", "studies": "Study", "series": "Series", "instances": "Instance"}
TIMEOUT_S = 60.0
ROUTES = {name for name in vars(Orthanc) if name.startswith(("get_", "put_", "post_", "delete_"))}
CALLED: set[str] = set()  # every method of the blocking client that a test has called


class Recorded(Orthanc):  # type: ignore[misc] # the library is not typed
    """The client, with note taken of its methods that are called."""

    def __getattribute__(self, name: str) -> Any:
        CALLED.add(name)
        return super().__getattribute__(name)


class Awaited:
    """The asynchronous client, each of whose methods is waited for."""

    def __init__(self, client: AsyncOrthanc) -> None:
        self.client, self.loop = client, asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **named: self.loop.run_until_complete(getattr(self.client, name)(*args, **named))

    def close(self) -> None:
        self.aclose()
        self.loop.close()


@dataclass(frozen=True, slots=True)
class At:
    """One resource: `at.get_labels()` is `client.get_studies_id_labels(id)`."""

    client: Any
    level: str
    identifier: str

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb, _, rest = name.partition("_")
        method = getattr(self.client, f"{verb}_{self.level}_id" + (f"_{rest}" if rest else ""))
        return lambda *args, **named: method(self.identifier, *args, **named)


@contextmanager
def raw(client: Any) -> Iterator[None]:
    """The whole answers within, as the libraries' `return_raw_response` has it."""
    inner = client.client if isinstance(client, Awaited) else client
    inner.return_raw_response = True
    try:
        yield
    finally:
        inner.return_raw_response = False


def refused(status: int) -> Any:
    return pytest.raises(httpx.HTTPError, match=f"HTTP code: {status}")


def ids(resources: list[dict[str, Any]]) -> set[str]:
    return {each["ID"] for each in resources}
