"""Tells whether the client still waits for the answer to its request. The HTTP server says it in the environment of the request.

Apart from the server (`api.rest.serving.wsgi`), so that Lua interpreters, which answer requests of scripts, do not load it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import falcon

from events.errors import InvalidRequest

T = TypeVar("T")

IS_CLIENT_GONE: Final = "sinogram.is_client_gone"  # key of the environment: a function without arguments


class ClientGone(InvalidRequest):
    """The client does not wait for the answer any more."""


def client_gone(req: falcon.Request) -> Callable[[], bool]:
    """Return a function that tells whether the client has left, for work that only makes sense while it waits."""
    is_gone: Callable[[], bool] = req.env.get(IS_CLIENT_GONE, lambda: False)
    return is_gone


def still_wanted(req: falcon.Request, check: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `check`, and raises ClientGone once the client has left."""
    is_gone = client_gone(req)

    def look() -> None:
        check()
        if is_gone():
            raise ClientGone("The client has left before its answer was ready")

    return look


def while_client_waits(req: falcon.Request, items: Iterable[T]) -> Iterator[T]:
    """Yield items that take long to make or to use. Raises ClientGone as soon as the client has left."""
    check = still_wanted(req, lambda: None)
    for item in items:
        check()
        yield item
