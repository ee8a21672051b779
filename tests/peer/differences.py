"""The reviewed list of intended differences between Sinogram and the Orthanc that serves as oracle.

Each stands with its source. `when` sees the two values at the place where the answers part and must be as narrow as
the reason: a difference that is not described here fails the test.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An intended difference: method, path and aspect are matched whole, the last two as regular expressions."""

    why: str
    source: str
    method: str = "GET"
    path: str
    aspect: str
    when: Callable[[object, object], bool]  # (ours, Orthanc's)


ACCEPTED: tuple[Accepted, ...] = ()
