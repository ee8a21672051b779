"""docs/configuration.md says of every option what the table in the code says."""

import json
from pathlib import Path

import pytest

from tools.options import OPTIONS, Option

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def row(option: Option) -> str:
    """The line of the page's table for an option."""
    default = "" if option.default is None else f"`{json.dumps(option.default)}`"
    return f"| `{option.name}` | {default} | {option.status} |"


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_has_its_line(name: str) -> None:
    assert row(OPTIONS[name]) in PAGE.read_text().splitlines()


def test_the_page_has_no_other_lines() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(lines) == len(set(lines)) == len(OPTIONS)
