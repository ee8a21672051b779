"""Text in an XML document, as Orthanc 1.12.7 writes it: control characters have numbers, which XML 1.0 does not allow, and a NUL ends the text."""

import re
from typing import Final

_CONTROLS: Final = [chr(code) for code in range(1, 32) if chr(code) not in "\t\n\r"]
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{each: f"&#{ord(each):02};" for each in _CONTROLS}}
_SPECIAL: Final = re.compile(f"[{''.join(_ENTITIES)}]")


def escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ENTITIES[found[0]], text.partition("\0")[0])
