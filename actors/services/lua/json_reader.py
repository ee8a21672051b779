"""ParseJson(): JSON as lenient as Orthanc reads it for scripts.

Comments, a comma before a closing bracket, anything after the value, numbers like `01`, `+1` and `1.` are allowed. Whole numbers that fit
32 bits, signed or not, are integers however they are written (1.0, 1e3), all others floats. Text that is not UTF-8 passes as it is.
Source: observed on 1.12.7.
"""

import json
import re
from typing import Any, NoReturn

from actors.services.scripts.values import MAX_DEPTH

_INTEGERS = range(-(2**31), 2**32)
_SPACE = re.compile(rb"(?:[ \t\r\n]|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(rb"[-+]?[0-9]*(?:\.[0-9]*)?(?:[eE][-+]?[0-9]*)?")
_PLAIN = re.compile(rb'[^"\\]*')
_HEX = re.compile(rb"[0-9A-Fa-f]{4}")
_SHORT = {ord(b): t for b, t in zip('"/\\bfnrt', [b'"', b"/", b"\\", b"\b", b"\f", b"\n", b"\r", b"\t"], strict=True)}
_COMMA_BYTES = 16  # what Lua needs for a member, at least
_BRACKET_BYTES = 56  # and for a table
_SPECIAL = re.compile(rb"\\u[dD]|\xed")  # halves of pairs: Python's reader lets them pass alone


class BadJson(ValueError):
    """Not JSON, not even leniently."""


def _number(text: str | bytes) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() and int(value) in _INTEGERS else value


def _refuse(constant: str) -> NoReturn:
    raise BadJson(constant)  # NaN and Infinity


def _bytes(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise BadJson("nested too deeply")
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return [_bytes(member, depth + 1) for member in value]
    if isinstance(value, dict):
        return {_bytes(key): _bytes(member, depth + 1) for key, member in value.items()}
    return value


def needs_more_than(text: bytes, most_bytes: int) -> bool:
    """Tell whether the values of a text cannot fit into that much of Lua's memory; Python's own copy takes five times as much."""
    if _structure_bytes(text) <= most_bytes:
        return False
    without_escapes = text.replace(rb"\\", b"").replace(rb"\"", b"")
    return sum(map(_structure_bytes, without_escapes.split(b'"')[::2])) > most_bytes  # what is outside of strings


def _structure_bytes(text: bytes) -> int:
    return _COMMA_BYTES * text.count(b",") + _BRACKET_BYTES * (text.count(b"[") + text.count(b"{"))


def parse_json(text: bytes) -> Any:
    """Return a value (strings and names are bytes).

    Raises:
        BadJson

    """
    if not _SPECIAL.search(text):
        try:
            return _bytes(
                json.loads(
                    text.decode("utf-8", "surrogateescape"),
                    strict=False,
                    parse_int=_number,
                    parse_float=_number,
                    parse_constant=_refuse,
                )
            )
        except (ValueError, RecursionError):
            pass  # the slow reader decides
    reader = _Reader(text.removeprefix(b"\xef\xbb\xbf"))
    return reader.value(0)


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            self._fail("nested too deeply")
        first = self._peek()
        if first == b"{":
            return self._object(depth)
        if first == b"[":
            return self._array(depth)
        if first == b'"':
            return self._string()
        for word, value in ((b"null", None), (b"true", True), (b"false", False)):
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        if not first or first not in b"+-0123456789":
            self._fail("a value is expected")
        return self._read_number()

    def _fail(self, what: str) -> NoReturn:
        raise BadJson(f"{what} at byte {self._at}")

    def _peek(self) -> bytes:
        space = _SPACE.match(self._text, self._at)
        assert space  # it matches the empty text
        self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _take(self, character: bytes) -> None:
        if self._peek() != character:
            self._fail(f"{character.decode()} is expected")
        self._at += 1

    def _object(self, depth: int) -> dict[bytes, Any]:
        members: dict[bytes, Any] = {}
        self._take(b"{")
        while self._peek() != b"}":
            if self._peek() != b'"':
                self._fail("a name is expected")
            name = self._string()
            self._take(b":")
            members[name] = self.value(depth + 1)
            if self._peek() != b"}":
                self._take(b",")
        self._at += 1
        return members

    def _array(self, depth: int) -> list[Any]:
        members: list[Any] = []
        self._take(b"[")
        while self._peek() != b"]":
            members.append(self.value(depth + 1))
            if self._peek() != b"]":
                self._take(b",")
        self._at += 1
        return members

    def _read_number(self) -> int | float:
        found = _NUMBER.match(self._text, self._at)
        assert found  # it begins with one of its characters
        self._at = found.end()
        digits = found.group()
        if digits in {b"-", b"+"}:
            return 0  # sic
        try:
            return _number(digits)
        except ValueError:
            self._fail("a number is expected")

    def _string(self) -> bytes:
        self._at += 1
        parts: list[bytes] = []
        while True:
            plain = _PLAIN.match(self._text, self._at)
            assert plain  # it matches the empty text
            parts.append(plain.group())
            self._at = plain.end() + 1
            end = self._text[plain.end() : self._at]
            if end == b'"':
                return b"".join(parts)
            if not end:
                self._fail("the text ends within a string")
            parts.append(self._escape())

    def _escape(self) -> bytes:
        kind = self._text[self._at : self._at + 1]
        self._at += 1
        if kind == b"u":
            code = self._code()
            if 0xD800 <= code <= 0xDBFF:
                if self._text[self._at : self._at + 2] != b"\\u":
                    self._fail("the second half of a pair is expected")
                self._at += 2
                code = 0x10000 + ((code & 0x3FF) << 10) + (self._code() & 0x3FF)
            return chr(code).encode("utf-8", "surrogatepass")
        short = _SHORT.get(kind[0]) if kind else None
        if short is None:
            self._fail("bad escape")
        return short

    def _code(self) -> int:
        found = _HEX.match(self._text, self._at)
        if not found:
            self._fail("four hexadecimal digits are expected")
        self._at = found.end()
        return int(found.group(), 16)
