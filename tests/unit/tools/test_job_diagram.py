"""docs/jobs.md says of the engine what its code says: the diagram, the table, and what things cost."""

from pathlib import Path

from actors.core.jobs.dispatch import KILL_AFTER_S
from actors.core.jobs.queue import MAX_CRASHES, SUSPECT_CRASHES
from actors.core.jobs.scheduler import INSIST_S
from actors.messages.job_retries import LONGEST_DELAY_S, REMOTE, Again, decide
from actors.messages.job_states import TRANSITIONS, Word
from actors.wire.errors import Trouble
from events import envelope
from events.identifiers import Ref
from events.jobs import JobStepFinished
from store.projections.job_rows import PROGRESS_BYTES, JobState
from store.projections.jobs import STATE_AFTER
from store.tables import key
from tools.job_diagram import BLOCKS, draw_states, main, redraw, write_table

DOCUMENT = Path(__file__).parents[3] / "docs" / "jobs.md"
KEY_BYTES = 8


def test_the_document_shows_the_table_that_the_engine_uses() -> None:
    text = DOCUMENT.read_text()
    assert redraw(text) == text, "run `python -m tools.job_diagram docs/jobs.md`"
    for name, draw in BLOCKS.items():
        assert f"<!-- {name} -->\n{draw()}\n<!-- end -->" in text


def test_the_diagram_has_an_arrow_for_every_command_that_does_something() -> None:
    arrows = set()
    for line in draw_states().splitlines()[2:-1]:
        way, _, words = line.partition(": ")
        start, target = way.split(" --> ")
        arrows |= {(start.strip(), target, word) for word in words.split(", ")}
    expected = {("[*]", "Pending", "submit")}
    for (state, word), entry in TRANSITIONS.items():
        if isinstance(entry, type):
            after = "[*]" if word is Word.FORGET else STATE_AFTER.get(entry, state).name
            expected.add((state.name, after, word.value))
    assert arrows == expected


def test_the_table_has_a_line_for_every_command_and_a_column_for_every_state() -> None:
    head, _, *lines = write_table().splitlines()
    assert sorted(head.strip("| ").split(" | ")[1:]) == sorted(state.name for state in JobState)
    assert [line.split("`")[1] for line in lines] == [word.value for word in Word]
    assert all(line.count("|") == len(JobState) + 2 for line in lines)


def test_a_document_is_redrawn_in_place(tmp_path: Path) -> None:
    path = tmp_path / "jobs.md"
    path.write_text("before\n<!-- commands -->\nold\n<!-- end -->\nbetween\n<!-- states -->\n<!-- end -->\nafter\n")
    main(path)
    assert path.read_text() == (
        f"before\n<!-- commands -->\n{write_table()}\n<!-- end -->\nbetween\n"
        f"<!-- states -->\n{draw_states()}\n<!-- end -->\nafter\n"
    )


def test_a_step_costs_in_the_log_what_is_stated() -> None:
    """Key and row; there is no personal part."""
    encoded = envelope.encode(
        JobStepFinished(job=Ref(9_990_000), step=999, code=0),
        at_us=1_700_000_000_000_000,
        aggregate=b"a" * 8,
        actor="jobs",
        correlation=b"",
        previous_hash=b"h" * 32,
    )
    assert encoded.personal_row is None
    assert len(key(10_000_000)) == KEY_BYTES
    assert f"| a step in the log, with its key, at the ten-millionth event | {len(encoded.row) + KEY_BYTES} |" in (
        DOCUMENT.read_text()
    )


def test_the_progress_of_a_job_is_as_small_as_stated() -> None:
    assert f"one row, overwritten by each step | {PROGRESS_BYTES} |" in DOCUMENT.read_text()


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text()
    assert (SUSPECT_CRASHES, MAX_CRASHES) == (2, 3)
    assert "After **two** crashes" in text
    assert "After the **third**" in text
    assert f"let go within {KILL_AFTER_S:.0f} seconds" in text
    delays = [decide(REMOTE, Trouble.BUSY, tries=tries, attempts=REMOTE.attempts) for tries in range(REMOTE.attempts)]
    assert delays == [Again(2_000), Again(8_000), Again(32_000), None]
    assert f"{REMOTE.attempts} attempts, after 2, 8 and 32 seconds" in text
    assert f"asked for again every {INSIST_S:.0f} seconds" in text
    assert f"Delays end at {LONGEST_DELAY_S / 60:.0f} minutes" in text
