"""What is to change in datasets: plain, so that the plan of a job can keep it.

| key               | value                                                                                       |
|-------------------|---------------------------------------------------------------------------------------------|
| `replace`         | pairs of a path and its value: a text, or a list of items, each a list of such pairs        |
| `remove`, `keep`  | paths                                                                                       |
| `removes_private` | whether private elements leave                                                              |
| `private_creator` | who reserves the blocks of replaced private elements that nobody has reserved; "" for none  |
| `edition`         | of the profile by which it is anonymised; "" for a modification                             |
| `new_uids`        | which of the study's, series' and instance's own UIDs are drawn anew                        |
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from events.identifiers import Level
from store.dicom.change.tag_path import TagPath, format_path, parse_path
from store.dicom.tags import PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID

# A text; or the items of a sequence.
NewValue: TypeAlias = str | tuple[Mapping[int, "NewValue"], ...]

IDENTIFIER_OF: Final = {
    Level.PATIENT: PATIENT_ID,
    Level.STUDY: STUDY_INSTANCE_UID,
    Level.SERIES: SERIES_INSTANCE_UID,
    Level.INSTANCE: SOP_INSTANCE_UID,
}
OWN_UIDS: Final = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modification:
    """One value for all instances of a request."""

    replace: Mapping[TagPath, NewValue] = field(default_factory=dict)
    remove: frozenset[TagPath] = frozenset()
    keep: frozenset[TagPath] = frozenset()
    removes_private: bool = False
    private_creator: str = ""
    edition: str = ""
    new_uids: frozenset[int] = frozenset()

    @property
    def is_anonymization(self) -> bool:
        return bool(self.edition)

    def replaces(self, tag: int) -> bool:
        return TagPath((), tag) in self.replace

    def keeps(self, tag: int) -> bool:
        return TagPath((), tag) in self.keep


def new_uids(level: Level, replaced: Iterable[int], kept: Iterable[int]) -> frozenset[int]:
    """Return which UIDs a modification at a level draws anew: its own and those below.

    Of an instance those from the highest level on at which an identifier is replaced: with another PatientID it belongs to another
    study. A series that gets one keeps the UID of its study. Source: observed on Orthanc 1.12.7.
    """
    fixed = {*replaced, *kept}
    above = [above for above, tag in IDENTIFIER_OF.items() if tag in replaced and level is Level.INSTANCE]
    changed = min([level, *above])
    below = {IDENTIFIER_OF[each] for each in Level if each >= changed and each is not Level.PATIENT}
    return frozenset(below - fixed)


def to_plain(change: Modification) -> dict[str, Any]:
    return {
        "replace": [[format_path(path), _plain_value(value)] for path, value in change.replace.items()],
        "remove": sorted(map(format_path, change.remove)),
        "keep": sorted(map(format_path, change.keep)),
        "removes_private": change.removes_private,
        "private_creator": change.private_creator,
        "edition": change.edition,
        "new_uids": sorted(change.new_uids),
    }


def from_plain(values: Mapping[str, Any]) -> Modification:
    return Modification(
        replace={parse_path(path): _value(value) for path, value in values["replace"]},
        remove=frozenset(map(parse_path, values["remove"])),
        keep=frozenset(map(parse_path, values["keep"])),
        removes_private=values["removes_private"],
        private_creator=values["private_creator"],
        edition=values["edition"],
        new_uids=frozenset(values["new_uids"]),
    )


def _plain_value(value: NewValue) -> Any:
    if isinstance(value, str):
        return value
    return [[[tag, _plain_value(member)] for tag, member in item.items()] for item in value]


def _value(plain: Any) -> NewValue:
    if isinstance(plain, str):
        return plain
    return tuple({tag: _value(member) for tag, member in item} for item in plain)
