"""Correlation of what one request causes: the same random bytes stand in every event of it; and on whose behalf it comes."""

from typing import Final

import falcon

from api.rest.auth import username_of
from events.identifiers import new_correlation
from store.records import Origin

# Keys of the WSGI environment of a request that a script makes (`api.rest.in_process`).
CORRELATION: Final = "sinogram.correlation"  # of the callback that makes it
ORIGIN: Final = "sinogram.origin"  # "Lua"


def correlation_of(req: falcon.Request) -> bytes:
    """Return the correlation of a request; it stays the same however often it is asked for."""
    correlation: bytes = req.env.setdefault(CORRELATION, new_correlation())
    return correlation


def origin_of(req: falcon.Request) -> Origin:
    """Return where instances come from that a request brings."""
    if ORIGIN in req.env:
        return Origin(kind=req.env[ORIGIN])
    return Origin(kind="RestApi", remote_ip=req.remote_addr or "", username=username_of(req))
