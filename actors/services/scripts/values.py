"""Values on their way between Python and Lua.

Python's side of a script's value: None, bool, int, float, bytes, a list, or a dict with keys of bytes. Strings of Lua are bytes, so
that a DICOM file passes unharmed; text of ours goes in as UTF-8. As in Orthanc, a table is an array if iterating over it meets the
keys 1, 2, 3 … in this order, and an empty table is an array; functions, threads and userdata are None.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAX_DEPTH = 100  # tables within tables; Orthanc crashes at 16
MAX_NODES = 2_000_000  # of one conversion: tables that hold each other's members many times grow without bound
MAX_BYTES = (
    1 << 30
)  # of strings in one conversion where no limit of memory says less: a table may hold one string many times

_INT64 = range(-(2**63), 2**63)
_NUMERIC = frozenset("-0123456789")


class TooComplex(ValueError):
    """A table that contains itself, or is too deep or too large to be copied."""


def number_text(value: float) -> bytes:
    """A number as Lua's tostring() writes it."""
    if isinstance(value, int):
        return b"%d" % value
    if math.isnan(value):  # the sign is the C library's doing: 0/0 is -nan on x86
        return b"-nan" if math.copysign(1, value) < 0 else b"nan"
    text = f"{value:.14g}"
    return (text + ".0" if _NUMERIC.issuperset(text) else text).encode()


def key_text(key: object) -> bytes:
    """The name of a table's member.

    Raises:
        TypeError: the key is neither a string nor a number

    """
    if isinstance(key, bytes):
        return key
    if isinstance(key, bool) or not isinstance(key, int | float):
        raise TypeError("a table has a key that is neither a string nor a number")
    return number_text(key)


def is_array(keys: Sequence[bytes]) -> bool:
    """Tell whether Orthanc takes a table with these keys, in the order of iteration, for an array."""
    return all(key == b"%d" % index for index, key in enumerate(keys, start=1))


class FromLua:
    """Copies values out of Lua; one object for one conversion, because it counts.

    `most_bytes`: of all strings together, 0 is `MAX_BYTES`. Raises (when called): TooComplex, TypeError (keys)
    """

    def __init__(self, table_type: type, most_bytes: int = 0) -> None:
        self._table_type = table_type
        self._nodes = 0
        self._left_bytes = most_bytes or MAX_BYTES

    def __call__(self, value: Any, depth: int = 0) -> Any:
        if value is None or isinstance(value, bytes | bool | int | float):
            return value
        if not isinstance(value, self._table_type):
            return None
        members = self.members(value, depth)
        if is_array([key for key, _ in members]):
            return [self(member, depth + 1) for _, member in members]
        return {key: self(member, depth + 1) for key, member in members}

    def members(self, table: Any, depth: int) -> list[tuple[bytes, Any]]:
        if depth >= MAX_DEPTH:
            raise TooComplex("a table holds itself or is nested too deeply")
        self._nodes += 1
        members = []
        for key, member in table.items():  # one by one: each string is copied as it comes
            self._nodes += 1
            if isinstance(member, bytes):
                self._left_bytes -= len(member)
            name = key_text(key)
            self._left_bytes -= len(name)
            if self._nodes > MAX_NODES:
                raise TooComplex("a table has too many members")
            if self._left_bytes < 0:
                raise TooComplex("not enough memory: the strings of a table take more than LuaMemoryLimit")
            members.append((name, member))
        return members


def ready(value: object) -> Any:
    """Make a Python value ready for lupa: text to UTF-8, names to bytes, integers beyond 64 bits to floats; None members vanish in Lua."""
    match value:
        case str():
            return value.encode("utf-8", "surrogateescape")
        case bool() | float() | bytes() | None:
            return value
        case int():
            return value if value in _INT64 else float(value)
        case bytearray() | memoryview():
            return bytes(value)
        case Mapping():
            return {ready(key): ready(member) for key, member in value.items()}
        case Iterable():
            return [ready(member) for member in value]
    raise TypeError(f"a {type(value).__name__} cannot be given to a script")
