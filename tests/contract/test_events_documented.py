"""docs/events.md lists every event type there is, with its values, and no other."""

import re
from pathlib import Path

import pytest

from events.envelope import EVENT_TYPES, UPCASTS
from events.event import field_names

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
ROW = re.compile(
    r"^\|(?P<tags>(?: ?`[a-z-]+/\d+`,?)+) \|[^|]*\|(?P<public>[^|]*)\|(?P<personal>[^|]*)\|$", re.MULTILINE
)
TAG = re.compile(r"`([a-z-]+/\d+)`")


def rows() -> dict[str, tuple[list[str], list[str]]]:
    found = {}
    for row in ROW.finditer(PAGE.read_text()):
        public, personal = (_names(row[part]) for part in ("public", "personal"))
        found.update(dict.fromkeys(TAG.findall(row["tags"]), (public, personal)))
    return found


def _names(cell: str) -> list[str]:
    """Return the names in a cell; what follows a colon explains the last one."""
    names = cell.partition(":")[0].strip()
    return names.split(", ") if names else []


def test_every_event_type_has_a_row_and_every_row_an_event_type() -> None:
    assert set(rows()) == set(EVENT_TYPES)


@pytest.mark.parametrize("tag", sorted(EVENT_TYPES))
def test_a_row_names_the_values(tag: str) -> None:
    public, personal = field_names(EVENT_TYPES[tag])
    assert rows()[tag] == (list(public), list(personal))


def test_superseded_types_are_named() -> None:
    superseded = PAGE.read_text().partition("Superseded:")[2].partition("\n\n")[0]
    assert set(TAG.findall(superseded)) == set(UPCASTS)
