"""Warnings that Orthanc numbers, which operators look for in logs, and the option `Warnings` that switches them off one by one."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from events.options import Option

READ_FROM_FILE: Final = "W001_TagsBeingReadFromStorage"
OTHER_MAIN_TAGS: Final = "W002_InconsistentDicomTagsInDb"
UNDECODABLE: Final = "W003_DecoderFailure"
UNSIGNED: Final = "W004_NoMainDicomTagsSignature"  # never: what is here has a signature
OF_LOWER_LEVEL: Final = "W005_RequestingTagFromLowerResourceLevel"
OF_FILE_META: Final = "W006_RequestingTagFromMetaHeader"
NOT_READ_FROM_FILE: Final = "W007_MissingRequestedTagsNotReadFromDisk"

ALL: Final = frozenset(
    {READ_FROM_FILE, OTHER_MAIN_TAGS, UNDECODABLE, UNSIGNED, OF_LOWER_LEVEL, OF_FILE_META, NOT_READ_FROM_FILE}
)


@dataclass(frozen=True, slots=True)
class Switches:
    """Names of warnings to Booleans; those that are not named are on. Names that are none stop Orthanc's start, too."""

    words = "object of names of warnings and true or false"

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return f"must be an {self.words}"
        for name, switch in value.items():
            if name not in ALL:
                return f"{name!r:.60} is no warning; there are {', '.join(sorted(ALL))}"
            if not isinstance(switch, bool):
                return f'"{name}" must be true or false'
        return None

    def read(self, value: Mapping[str, Any], _folder: object) -> frozenset[str]:
        return frozenset(name for name in ALL if value.get(name, True))


# JSON's null is as if it were not there.
WARNINGS: Final = Option("Warnings", Switches(), {}, convert=lambda on: ALL if on is None else on)


def warn(log: logging.Logger, on: frozenset[str], name: str, text: str, *values: object) -> None:
    """Log a warning with its number, if it is switched on."""
    if name in on:
        log.warning("%s: %s", name[:4], text % values)
