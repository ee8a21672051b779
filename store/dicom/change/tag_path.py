"""Names of elements: `PatientName`, `0010,0010`, and within items `ReferencedStudySequence[0].(0008,1155)`, `…Sequence[*].…`.

The grammar is that of DCMTK's `dcmodify`. Source: observed on Orthanc 1.12.7.
"""

from typing import Final, NamedTuple

from store.dicom.change.errors import BadPath, UnknownName
from store.dicom.dictionary import parse_tag

EVERY: Final = -1  # item


class Step(NamedTuple):
    """Into a sequence: one of its items, or EVERY one."""

    tag: int
    item: int


class TagPath(NamedTuple):
    """Where an element lies; `parents` are empty at the top level."""

    parents: tuple[Step, ...]
    tag: int

    def leads_through(self, tag: int, index: int) -> bool:
        """Tell whether the first step is into this item."""
        return bool(self.parents) and self.parents[0].tag == tag and self.parents[0].item in {EVERY, index}

    def rest(self) -> "TagPath":
        """Return the path from inside of the first step's item."""
        return TagPath(self.parents[1:], self.tag)


def parse_name(name: str) -> int:
    """Read the name of a tag. Raises UnknownName."""
    tag = parse_tag(name[1:-1] if name.startswith("(") and name.endswith(")") else name)
    if tag is None:
        raise UnknownName(name)
    return tag


def parse_path(text: str) -> TagPath:
    """Read a path. Raises UnknownName; BadPath."""
    *parents, last = text.split(".")
    return TagPath(tuple(_parse_step(parent) for parent in parents), parse_name(last))


def _parse_step(text: str) -> Step:
    name, bracket, index = text.partition("[")
    if not bracket or not index.endswith("]"):
        raise BadPath("Parent path doesn't contain an index")
    index = index[:-1].strip()
    if index == "*":
        return Step(parse_name(name), EVERY)
    try:
        number = int(index)
    except ValueError as exc:
        raise BadPath(f"Not a valid index in parent path: [{index}]") from exc
    if number < 0:
        raise BadPath(f"Negative index in parent path: {number}")
    return Step(parse_name(name), number)


def format_path(path: TagPath) -> str:
    """Return a text that `parse_path` reads."""
    steps = [f"{_format(step.tag)}[{'*' if step.item == EVERY else step.item}]" for step in path.parents]
    return ".".join((*steps, _format(path.tag)))


def _format(tag: int) -> str:
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"
