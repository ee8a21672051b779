"""What is asked of the archive: by C-FIND (`store.views.find`), and by `/tools/find` (`store.views.selection`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from events.identifiers import Level, ResourceId
from store.dicom.matching import Matcher


@dataclass(frozen=True, slots=True)
class LabelKey:
    """Which labels a resource must have, of itself. No labels at all: with "None", it must have none; else anything goes."""

    labels: frozenset[str]
    constraint: Literal["All", "Any", "None"] = "All"

    def matches(self, has: Callable[[str], bool], *, has_some: Callable[[], bool]) -> bool:
        if not self.labels:
            return self.constraint != "None" or not has_some()
        if self.constraint == "All":
            return all(map(has, self.labels))
        return any(map(has, self.labels)) == (self.constraint == "Any")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Resources of a level that match all keys, and which tags to tell of them."""

    level: Level
    keys: Mapping[int, Matcher]
    wanted: tuple[int, ...] = ()
    retrieve_aet: str = ""
    reads_files: bool = True  # StorageAccessOnFind: False where the index alone answers
    warnings: frozenset[str] = frozenset()  # those that are logged
    default_encoding: str = "Latin1"  # of files that declare none
    is_relational: bool = False  # what is computed of a study is told of its series and instances, too
    limit: int = 0  # answers; 0: all
    labels: LabelKey | None = None
    metadata: Mapping[int, Matcher] = field(default_factory=dict)  # by number
    parents: Mapping[Level, ResourceId] = field(default_factory=dict)  # each is the resource, or it is below that


class Cast(Enum):
    """As what values are compared for an order."""

    TEXT = "text"
    INTEGER = "integer"
    REAL = "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One term of an order. Resources without the value come last, whatever the direction."""

    tag: int = 0
    metadata: int = 0  # its number, if it is no tag
    cast: Cast = Cast.TEXT
    descends: bool = False
