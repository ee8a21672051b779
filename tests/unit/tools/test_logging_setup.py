"""Levels and categories of logs; the loggers touched are put back."""

import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.configuration import load
from tools.server.children import Child
from tools.server.composition import server_settings
from tools.server.log_lines import MOST_CHARACTERS, printable
from tools.server.logging_setup import (
    CATEGORIES,
    LEVEL_WORDS,
    LEVELS,
    LogOptions,
    configure,
    log_standard_error,
    set_level,
)
from tools.server.process import CORE, READY, REFUSED, Order
from tools.server.serve import EXIT_CORE_DIED, EXIT_REFUSED, Supervisor
from tools.server.watchdog import Watchdog

TOUCHED = ("aiohttp", *(name for names in CATEGORIES.values() for name in names))


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, stderr = root.handlers[:], root.level, sys.stderr
    levels = {name: logging.getLogger(name).level for name in TOUCHED}
    yield
    sys.stderr = stderr
    logging.captureWarnings(capture=False)
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


def test_one_category_is_raised_alone() -> None:
    set_level("default")
    set_level("trace", "dicom")
    assert logging.getLogger("api.dicom.scp").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("pynetdicom").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("api.app").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("aiohttp").isEnabledFor(logging.INFO)


def test_an_unknown_level_or_category_is_refused() -> None:
    for options in ({"level": "loud"}, {"categories": {"nope": "trace"}}, {"categories": {"http": "loud"}}):
        with pytest.raises(ValueError, match="no such level or category"):
            LogOptions(**options)


def test_a_file_gets_one_line_a_message_with_the_process(tmp_path: Path) -> None:
    configure(LogOptions(file=tmp_path / "log"), "gateway-1")
    logging.getLogger("api.rest").warning("hello")
    logging.getLogger("api.rest").info("not shown")
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith(" W gateway-1 api.rest: hello")


LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Z] gateway-1 [\w.]+: |    )")
FORGED = "2026-01-01 00:00:00.000 E core store: the archive is lost"
# What a stranger may send, by name of who reads it.
SENT = {
    "a line feed": "A\n" + FORGED,
    "a carriage return": "A\r" + FORGED,
    "both": "A\r\n" + FORGED,
    "a line separator": "A\u2028" + FORGED,
    "next line": "A\x85" + FORGED,
    "a vertical tab": "A\x0b" + FORGED,
    "a form feed": "A\x0c" + FORGED,
    "an escape sequence": "\x1b[2K\x1b[1A" + FORGED,
    "a C1 control": "\x9b2J",
    "backspaces": "A" + "\b" * 200 + FORGED,
    "a null": "A\0B",
    "delete": "\x7f" * 3,
    "marks of direction": "\u202eevil",
    "a lone surrogate": "A\udc80",
}


@pytest.mark.parametrize("name", SENT)
def test_what_a_stranger_sends_stays_in_its_line(tmp_path: Path, name: str) -> None:
    configure(LogOptions(file=tmp_path / "log"), "gateway-1")
    log = logging.getLogger("api.dicom")
    log.warning("rejected aet=%s", SENT[name])
    log.error("failed aet=%s", SENT[name], exc_info=ValueError(SENT[name]))
    text = (tmp_path / "log").read_bytes().decode()
    lines = text.splitlines()
    assert all(LINE.match(line) for line in lines)
    assert sum(not line.startswith("    ") for line in lines) == 2
    assert all(character.isprintable() or character == "\n" for character in text)


def test_what_is_harmless_is_written_as_it_is() -> None:
    for text in ("", "STORESCP", "Grün 山田^太郎 ~!%s{}", "C:\\path", "a" * MOST_CHARACTERS):
        assert printable(text) == text


def test_a_long_text_is_cut_and_says_so() -> None:
    shown = printable("\n" * MOST_CHARACTERS)
    assert len(shown) < MOST_CHARACTERS + 50
    assert shown.endswith(f"… ({MOST_CHARACTERS} more)")


def test_what_libraries_print_is_prefixed(tmp_path: Path) -> None:
    configure(LogOptions(file=tmp_path / "log"), "gateway-1")
    log_standard_error()
    print("a library\nsays", file=sys.stderr)
    sys.stderr.write("in pieces, ")
    sys.stderr.write("one line\n\n")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("old", stacklevel=1)
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(LINE.match(line) for line in lines)
    assert [line.rpartition(": ")[2] for line in lines[:3]] == ["a library", "says", "in pieces, one line"]
    assert "W gateway-1 py.warnings: " in lines[3]


# Logger -> the category by which alone it is raised.
PLACES = {
    "api.rest.serving.server": "http", "sinogram.http": "http", "actors.wire.http.client": "http", "api.dicom.find_scp": "dicom",
    "actors.services.remote.requestor": "dicom", "actors.services.jobs.runner": "jobs", "actors.core.jobs.scheduler": "jobs",
    "actors.services.lua.actor": "lua", "lua": "lua",
    "actors.core.index.actor": "sqlite", "store.environment": "sqlite", "actors.services.ingest.ingest": "generic", "tools.server.core": "generic",
    "store.blobs.store": "generic",
}  # fmt: skip


@pytest.mark.parametrize(("logger", "category"), PLACES.items())
def test_a_logger_has_the_level_of_its_category(tmp_path: Path, logger: str, category: str) -> None:
    for level, least in (("verbose", logging.INFO), ("trace", logging.DEBUG)):
        configure(LogOptions(file=tmp_path / "log", categories={category: level}), "gateway-1")
        assert logging.getLogger(logger).getEffectiveLevel() == least
        others = {each: level for each in CATEGORIES if each != category}
        configure(LogOptions(file=tmp_path / "log", categories=others), "gateway-1")
        assert logging.getLogger(logger).getEffectiveLevel() == logging.WARNING


class OfOneChild(Supervisor):
    """A supervisor of a core that has said what it is given, and is gone then."""

    def __init__(self, words: bytes) -> None:
        ours, theirs = os.pipe()
        os.write(theirs, words)
        os.close(theirs)
        process = subprocess.Popen(["true"])
        self._children = [Child(Order(CORE, CORE, None), process, ours, is_ready=True)]
        self._settings = server_settings(load(), LogOptions())
        self._watchdog = Watchdog({})
        self._signals = []
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def _start(self) -> int | None:
        return EXIT_REFUSED

    def _stop(self) -> None:
        os.close(self._wake_read)
        os.close(self._wake_write)


def test_the_supervisor_takes_the_levels_that_the_core_tells_until_a_reset() -> None:
    words = {pair: word for word, pair in LEVEL_WORDS.items()}
    supervisor = OfOneChild(words["generic", "trace"] + words["http", "verbose"] + words["generic", "verbose"])
    assert supervisor._watch() == EXIT_CORE_DIED
    assert [logging.getLogger(name).level for name in ("tools", "api.rest")] == [logging.INFO, logging.INFO]
    assert supervisor._run_once() == EXIT_REFUSED
    assert [logging.getLogger(name).level for name in ("tools", "api.rest")] == [logging.WARNING, logging.WARNING]


def test_no_word_of_a_level_is_another_word_of_a_child() -> None:
    assert not LEVEL_WORDS.keys() & {READY, REFUSED}
    assert set(LEVEL_WORDS.values()) == {(category, level) for category in CATEGORIES for level in LEVELS}
