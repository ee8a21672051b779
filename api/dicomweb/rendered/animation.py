"""Pictures in the format GIF, one after the other, as one that moves (GIF89a, §23 and Appendix D; the loop is Netscape's extension)."""

import math
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Final

from api.rest import dicom_files
from api.rest.deps import Deps
from events.errors import NotFound
from store.records import Instance

_HEAD_BYTES: Final = 13 + 3 * 256  # signature, screen, and a table of 256 colours
_END: Final = b"\x3b"
_FOR_EVER: Final = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_FRAME_TIME: Final = "0018-1063"
_USUAL_MS: Final = 100.0
SHORTEST_MS, LONGEST_MS = 20, 10_000  # for which a frame is shown


def read_frame_ms(deps: Deps, instance: Instance) -> float:
    """Return for how long a frame of an instance is shown, by its Frame Time (PS3.3 §C.7.6.5)."""
    with suppress(NotFound, ValueError):
        told = dicom_files.read_content(deps, instance, [_FRAME_TIME])
        if isinstance(told, bytes):
            value = float(told.decode("ascii").strip(" \0"))
            return value if 0 < value < math.inf else _USUAL_MS
    return _USUAL_MS


def animate(frames: Iterator[bytes], frame_ms: float) -> Generator[bytes]:
    """Yield one GIF of several that have the same size and the same colours, of which none is held but the one under way."""
    hundredths = int(min(max(frame_ms, SHORTEST_MS), LONGEST_MS) / 10)
    control = b"\x21\xf9\x04\x00" + hundredths.to_bytes(2, "little") + b"\x00\x00"
    before = b""
    for frame in frames:
        if not before:
            before = b"GIF89a" + frame[6:_HEAD_BYTES] + _FOR_EVER
            yield before
        yield control + frame[_HEAD_BYTES : -len(_END)]
    yield _END
