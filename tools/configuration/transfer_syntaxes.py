"""Which transfer syntaxes are accepted: the list of patterns, then the nine switches of groups.

Wildcards and what each switch adds or takes away are Orthanc 1.12.7's, as observed through
`/tools/accepted-transfer-syntaxes`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from events.options import Boolean, Option

_GROUPS: Final = {  # last components below 1.2.840.10008.1.2
    "Deflated": ("1.99",),
    "Jpeg": (*(f"4.{number}" for number in range(50, 67)), "4.70"),
    "Jpeg2000": ("4.90", "4.91", "4.92", "4.93"),
    "JpegLossless": ("4.80", "4.81"),  # JPEG-LS
    "Jpip": ("4.94", "4.95"),
    "Mpeg2": ("4.100", "4.101"),
    "Rle": ("5",),
    "Mpeg4": ("4.102", "4.103", "4.104", "4.105", "4.106"),
    "H265": ("4.107", "4.108"),
}

TRANSFER_SYNTAX_SWITCHES: Final[Mapping[str, frozenset[str]]] = {
    f"{group}TransferSyntaxAccepted": frozenset(f"1.2.840.10008.1.2.{last}" for last in lasts)
    for group, lasts in _GROUPS.items()
}

OPTIONS: Final = tuple(Option(name, Boolean()) for name in TRANSFER_SYNTAX_SWITCHES)


def accepted(known: Iterable[str], patterns: Iterable[str], switches: Mapping[str, bool]) -> tuple[str, ...]:
    """Choose from `known` what `patterns` match or a switch adds, less what a switch takes away; order stays."""
    on = {uid for name, value in switches.items() if value for uid in TRANSFER_SYNTAX_SWITCHES[name]}
    off = {uid for name, value in switches.items() if not value for uid in TRANSFER_SYNTAX_SWITCHES[name]}
    compiled = [_pattern(text) for text in patterns]
    return tuple(uid for uid in known if uid not in off and (uid in on or any(p.fullmatch(uid) for p in compiled)))


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern in which `*` is any run of characters and `?` is one; nothing else is special."""
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text))
