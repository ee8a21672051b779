"""Whether whoever has sent a request still waits for the answer. The HTTP server says it in the environment of the request.

Apart from the server (`api.rest.serving.wsgi`), so that Lua interpreters, which answer requests of scripts, do not load it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import falcon

from events.errors import InvalidRequest

T = TypeVar("T")

IS_CLIENT_GONE: Final = "sinogram.is_client_gone"  # key of the environment: a function without arguments


class ClientGone(InvalidRequest):
    """Whoever has sent the request does not wait for the answer any more."""


def client_gone(req: falcon.Request) -> Callable[[], bool]:
    """Return what tells whether a client has left, for work that only makes sense if somebody waits for it."""
    is_gone: Callable[[], bool] = req.env.get(IS_CLIENT_GONE, lambda: False)
    return is_gone


def while_client_waits(req: falcon.Request, items: Iterable[T]) -> Iterator[T]:
    """Yield what takes long to make or to use. Raises ClientGone as soon as nobody waits for it."""
    is_gone = client_gone(req)
    for item in items:
        if is_gone():
            raise ClientGone("The client has left before its answer was there")
        yield item
