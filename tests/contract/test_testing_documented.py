"""docs/testing.md names every variable that the tests read, and the Makefile's long run sets what the page says."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text()
_ROW = re.compile(r"^\| `(SINOGRAM_\w+)` \| ([^|]*)\| ([^|]*)\|", re.MULTILINE)
ROWS = {name: (suite.strip(), nightly.strip()) for name, suite, nightly in _ROW.findall(PAGE)}
_READ = re.compile(r'environ(?:\.get\(|\[)"(SINOGRAM_\w+)"(?:, "(\d+)")?')


def _read_by_tests() -> dict[str, str]:
    """Each variable with its default, where that is a number."""
    found = (_READ.findall(path.read_text()) for path in (ROOT / "tests").rglob("*.py"))
    return {name: default for each in found for name, default in each}


_MOVED = re.compile(r"^\| `(tests/\S+\.py)` \|", re.MULTILINE)


def test_the_page_names_what_only_the_long_run_runs() -> None:
    paths = (path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    marked = {str(path.relative_to(ROOT)) for path in paths if "mark.nightly" in path.read_text()}
    assert marked == set(_MOVED.findall(PAGE))


def test_every_variable_has_its_row() -> None:
    assert _read_by_tests().keys() <= ROWS.keys()


def test_the_defaults_are_those_of_the_page() -> None:
    told = {name: ROWS[name][0] for name, default in _read_by_tests().items() if default and ROWS[name][0].isdecimal()}
    assert told == {name: default for name, default in _read_by_tests().items() if name in told}


def test_the_long_run_sets_what_the_page_says() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name, (suite, nightly) in ROWS.items():
        if nightly.isdecimal() and nightly != suite:
            assert f"nightly: export {name} ?= {nightly}" in makefile
