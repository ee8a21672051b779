"""What the options may be that give users' names to numbers: `UserMetadata` and `UserContentType`.

Orthanc 1.12.7 takes `1024.0` for 1024 in both.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from events import attachments, metadata
from events.attachments import UNKNOWN_MEDIA_TYPE, ContentType

_FIRST, _LAST = metadata.USER_NUMBERS[0], metadata.USER_NUMBERS[-1]  # of attachments, too
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*\Z")


@dataclass(frozen=True, slots=True)
class MetadataNames:
    """Name of a metadata to its number."""

    words = f"object of names and numbers from {_FIRST} to {_LAST}"

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return f"must be an {self.words}"
        return _problem(value, "metadata", metadata.BUILT_IN)

    def read(self, value: dict[str, Any], _folder: object) -> dict[str, int]:
        return {name: int(number) for name, number in value.items()}


@dataclass(frozen=True, slots=True)
class ContentTypes:
    """Name of a type of attachments to its number, or to a list of number and media type."""

    words = f"object of names and numbers from {_FIRST} to {_LAST}, or lists of such a number and a media type"

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return f"must be an {self.words}"
        numbers = {name: _number_of(found) for name, found in value.items()}
        for name, found in value.items():
            if isinstance(found, list) and not _HEADER_VALUE.match(found[-1] if _is_typed(found) else "\n"):
                return f'"{name}" must have a number, or a list of a number and a media type such as "application/pdf"'
        return _problem(numbers, "type of attachments", attachments.BUILT_IN)

    def read(self, value: dict[str, Any], _folder: object) -> dict[str, ContentType]:
        return {
            name: ContentType(int(_number_of(found)), (isinstance(found, list) and found[1]) or UNKNOWN_MEDIA_TYPE)
            for name, found in value.items()
        }


def _number_of(found: Any) -> Any:
    return found[0] if isinstance(found, list) and found else found


def _is_typed(found: list[Any]) -> bool:
    return len(found) == 2 and isinstance(found[1], str)


def _problem(numbers: dict[str, Any], what: str, own: Collection[str]) -> str | None:
    named: dict[Any, str] = {}
    for name, number in numbers.items():
        if name in own or re.fullmatch(r"[+-]?\d+", name.strip()):
            return f'"{name}" cannot be the name of a {what}: Orthanc has it for one of its own, or it is a number'
        if isinstance(number, bool) or not isinstance(number, int | float):
            return f'the number of "{name}" must be a number'
        if not (_FIRST <= number <= _LAST and number == int(number)):
            return f'the number of "{name}" must be between {_FIRST} and {_LAST}, not {number}'
        if number in named:
            return f'"{named[number]}" and "{name}" have the same number {number}'
        named[number] = name
    return None
