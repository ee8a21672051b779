"""Levels and categories of logs; the loggers touched are put back."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.logging_setup import CATEGORIES, LogOptions, configure, set_level

TOUCHED = ("aiohttp", *(name for names in CATEGORIES.values() for name in names))


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in TOUCHED}
    yield
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
    assert not logging.getLogger("api.rest.app").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("aiohttp").isEnabledFor(logging.INFO)


def test_an_unknown_level_or_category_is_refused() -> None:
    for options in ({"level": "loud"}, {"categories": {"nope": "trace"}}, {"categories": {"http": "loud"}}):
        with pytest.raises(ValueError, match="no such level or category"):
            LogOptions(**options)


def test_a_file_gets_one_line_a_message_with_the_process(tmp_path: Path) -> None:
    configure(LogOptions(file=tmp_path / "log"), "gateway-1")
    logging.getLogger("api.rest").info("hello")
    logging.getLogger("api.rest").debug("not shown")
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith(" I gateway-1 api.rest: hello")
