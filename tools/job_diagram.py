"""Draw docs/jobs.md from the engine's own tables: `python -m tools.job_diagram docs/jobs.md`.

What stands in the document between `<!-- NAME -->` and `<!-- end -->` is replaced by what the code says: the diagram of
states and the table of commands.
"""

import re
import sys
from pathlib import Path

from actors.messages.job_states import TRANSITIONS, Entry, Verdict, Word
from events.jobs import JobForgotten
from store.projections.job_rows import JobState
from store.projections.jobs import STATE_AFTER

END = "[*]"  # mermaid's name of both the beginning and the end
_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def draw_states() -> str:
    """Return the states and what leads from one to another, as a mermaid diagram."""
    arrows: dict[tuple[str, str], list[str]] = {(END, JobState.Pending.name): ["submit"]}
    for (state, word), entry in TRANSITIONS.items():
        if isinstance(entry, type):
            arrows.setdefault((state.name, _target(state, entry)), []).append(word.value)
    lines = [f"    {start} --> {target}: {', '.join(words)}" for (start, target), words in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def write_table() -> str:
    """Return what each command comes to in each state, as a table of Markdown."""
    states = list(dict.fromkeys(state for state, _ in TRANSITIONS))
    lines = [["command", *(state.name for state in states)], ["---"] * (len(states) + 1)]
    lines += [[f"`{word.value}`", *(_cell(state, TRANSITIONS[state, word]) for state in states)] for word in Word]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _target(state: JobState, entry: type) -> str:
    return END if entry is JobForgotten else STATE_AFTER.get(entry, state).name


def _cell(state: JobState, entry: Entry) -> str:
    match entry:
        case Verdict.IGNORE:
            return "·"
        case Verdict.REFUSE:
            return "refused"
        case type():
            target = _target(state, entry)
            return entry.__name__ if target in {state.name, END} else f"{entry.__name__} → {target}"
    raise TypeError(entry)


BLOCKS = {"states": draw_states, "commands": write_table}


def redraw(text: str) -> str:
    """Return a document with its drawn parts as the code has them. Raises KeyError for an unknown part."""
    return _BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


def main(path: Path) -> None:
    path.write_text(redraw(path.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
