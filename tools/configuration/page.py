"""Write the table of docs/configuration.md: `python -m tools.configuration.page docs/configuration.md`.

What stands in the page between `<!-- options -->` and `<!-- end -->` is replaced by what the options declare.
"""

import json
import re
import sys
from pathlib import Path

from events.options import Option
from tools.configuration.all_options import OPTIONS

_BLOCK = re.compile(r"(<!-- options -->\n).*?(<!-- end -->)", re.DOTALL)


def write_table() -> str:
    """Return all options as a table of Markdown, in the order of their names."""
    lines = ["| option | values | default | honoured |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_line(OPTIONS[name]) for name in sorted(OPTIONS, key=str.casefold))])


def _line(option: Option) -> str:
    default = "" if option.default is None else f"`{json.dumps(option.default)}`"
    return f"| `{option.name}` | {option.kind.words} | {default} | {option.status} |"


def redraw(text: str) -> str:
    """Return the page with its table as the options have it."""
    return _BLOCK.sub(lambda found: f"{found[1]}{write_table()}\n{found[2]}", text)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(redraw(page.read_text()))
