"""DumpJson(): JSON as Orthanc writes it for scripts.

No spaces, names in the order of their bytes, everything but ASCII escaped, no line end. Without `keep_strings` a string that Lua can read
as a number becomes one ("007" is 7); with it, numbers become strings. Strings end at their first NUL. Source: observed on 1.12.7.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from actors.services.scripts.values import FromLua, is_array, number_text

_NUMBER_LIKE = re.compile(rb"[ \t-\r]*[-+]?\.?[0-9]")
_INT32 = range(-(2**31), 2**31)
_ESCAPE = re.compile(r'["\\\x00-\x1f\x80-\U0010ffff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    short = _SHORT.get(character)
    if short:
        return short
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else _pair(code)


def _pair(code: int) -> str:
    beyond = code - 0x10000
    return f"\\u{0xD800 + (beyond >> 10 & 0x3FF):04x}\\u{0xDC00 + (beyond & 0x3FF):04x}"


def _careless(text: bytes) -> Iterator[str]:
    """Escape bytes that are not UTF-8 as Orthanc does: lead bytes are believed, what follows is not looked at."""
    position, end = 0, len(text)
    while position < end:
        lead = text[position]
        length = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4 if lead < 0xF8 else 1
        if lead >= 0xF8 or position + length > end:
            yield "\\ufffd"
            position += 1
            continue
        code = lead if length == 1 else lead & (0x1F, 0x0F, 0x07)[length - 2]
        for follower in text[position + 1 : position + length]:
            code = code << 6 | follower & 0x3F
        position += length
        if code < (0, 0x80, 0x800, 0x10000)[length - 1] or 0xD800 <= code <= 0xDFFF:
            yield "\\ufffd"
        elif code >= 0x10000:
            yield _pair(code)
        else:
            yield _ESCAPE.sub(_escaped, chr(code))


def quoted(text: bytes) -> str:
    text = text.partition(b"\0")[0]
    try:
        return f'"{_ESCAPE.sub(_escaped, text.decode())}"'
    except UnicodeDecodeError:
        return f'"{"".join(_careless(text))}"'


def number(value: float) -> str:
    if isinstance(value, int) or value.is_integer():
        whole = int(value)
        if whole in _INT32:
            return str(whole)
        value = float(value)
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        return "1e+9999" if value > 0 else "-1e+9999"
    text = f"{value:.17g}"
    return text if "." in text or "e" in text else text + ".0"


class JsonWriter:
    """Walks Lua's tables. `tonumber`: Lua's own; `most_bytes`: see `values.FromLua`."""

    def __init__(self, table_type: type, tonumber: Callable[[bytes], Any], most_bytes: int = 0) -> None:
        self._table_type = table_type
        self._tonumber = tonumber
        self._most_bytes = most_bytes

    def dump(self, value: Any, *, keep_strings: bool) -> bytes:
        """Raise what `values.FromLua` raises."""
        return self._text(value, FromLua(self._table_type, self._most_bytes), 0, keep_strings).encode()

    def _text(self, value: Any, walk: FromLua, depth: int, keep: bool) -> str:
        if isinstance(value, bytes):
            if not keep and _NUMBER_LIKE.match(value):
                read = self._tonumber(value)
                if read is not None:
                    return number(read)
            return quoted(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return f'"{number_text(value).decode()}"' if keep else number(value)
        if not isinstance(value, self._table_type):
            return "null"
        members = [(key, self._text(member, walk, depth + 1, keep)) for key, member in walk.members(value, depth)]
        if is_array([key for key, _ in members]):
            return f"[{','.join(text for _, text in members)}]"
        unique = dict(members)
        return "{" + ",".join(f"{quoted(key)}:{unique[key]}" for key in sorted(unique)) + "}"
