"""Text in an XML document: as XML 1.0 has it, and as Orthanc 1.12.7 writes it."""

import re
from typing import Final

_CONTROLS: Final = [chr(code) for code in range(1, 32) if chr(code) not in "\t\n\r"]
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{each: f"&#{ord(each):02};" for each in _CONTROLS}}
_SPECIAL: Final = re.compile(f"[{''.join(_ENTITIES)}]")


# What XML 1.0 has no way to write (its §2.2); readers refuse the whole document.
_FORBIDDEN: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MARKUP: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


def escape(text: str) -> str:
    """Return text that any reader of XML gives back, but for characters that it cannot hold: U+FFFD stands for them."""
    return _FORBIDDEN.sub("\ufffd", text).translate(_MARKUP)


def escape_as_orthanc(text: str) -> str:
    """Return text of which control characters have numbers, which XML 1.0 does not allow, carriage returns get lost, and a NUL ends it."""
    return _SPECIAL.sub(lambda found: _ENTITIES[found[0]], text.partition("\0")[0])
