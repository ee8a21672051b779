"""Rows of the index that cannot be read: the error names the table and what to do, not a detail of the decoder.

A flipped bit in the file of the index shows in whatever reads the row: a length that does not fit, bytes that are no
msgpack, a page that LMDB does not take. All of it becomes `CorruptIndex` where a snapshot or a command ends. What the
read models hold can be built again from the log. `events.envelope` reports a damaged row of the log itself.
"""

import struct
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import lmdb
import msgpack

from events.errors import CorruptIndex, SinogramError, StorageFailed

WAY_OUT = (
    "stop the server; 'sinogram fsck --data DIR' says what is damaged, and 'sinogram replay --data DIR --into NEW' builds a "
    "new index from the log"
)


P = ParamSpec("P")
T = TypeVar("T")


class DamagedRow(Exception):  # passes from a decoder to where the table is known
    """A row does not have the form that its table's rows have."""


# What decoders raise over bytes that are no row.
DECODING = (ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error, msgpack.UnpackException)
# Errors that always mean a damaged row, wherever they come from.
UNREADABLE = (DamagedRow, struct.error, msgpack.UnpackException, msgpack.ExtraData, lmdb.Error)
_DAMAGED_PAGES = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError, lmdb.BadTxnError, lmdb.PanicError)


def decodes(function: Callable[P, T]) -> Callable[P, T]:
    """Make a decoder of rows raise DamagedRow. Too slow for decoders that run a thousand times a second."""

    @wraps(function)
    def decode(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return function(*arguments, **named)
        except DECODING as exc:
            raise DamagedRow from exc

    return decode


def describe(table: bytes, exc: Exception) -> SinogramError:
    """Return the error for a caller whose read of a table failed with one of `UNREADABLE`."""
    name = table.decode() or "?"
    if isinstance(exc, lmdb.Error) and not isinstance(exc, _DAMAGED_PAGES):
        return StorageFailed(f"the index cannot be read: {exc}")
    return CorruptIndex(f"the table '{name}' of the index is damaged; {WAY_OUT}")
