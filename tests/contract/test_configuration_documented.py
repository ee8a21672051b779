"""The table of docs/configuration.md says of every option what it declares."""

from pathlib import Path

from tools.configuration.all_options import OPTIONS
from tools.configuration.page import redraw

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_table_is_as_the_options_are_declared() -> None:
    """Else: `python -m tools.configuration.page docs/configuration.md`."""
    text = PAGE.read_text()
    assert text == redraw(text)
    named = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(name for name in named if name in OPTIONS) == sorted(OPTIONS)
