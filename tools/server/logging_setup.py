"""Logs of every process of the server: one line a message, to standard error or to a file.

Levels are Orthanc's three: `default` (what an operator should see: warnings and errors), `verbose`, `trace`; each may be raised for one
category alone. A category is a subsystem named as in Orthanc. Nothing here is set up until `configure` is called,
once in each process.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Final

from tools.server.log_lines import LineFormatter, LoggedStderr

LEVELS: Final = ("default", "verbose", "trace")

# Category -> the loggers under it. `generic` is everything of ours that no other category has.
CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "generic": ("events", "store", "actors", "api", "tools", "sinogram"),
    "http": ("api.rest", "sinogram.http", "actors.wire.http.client"),
    "dicom": ("api.dicom", "actors.services.remote", "pynetdicom"),
    "jobs": ("actors.services.jobs", "actors.core.jobs"),
    "lua": ("actors.services.lua", "lua"),
    "plugins": ("tools.plugins",),
    "sqlite": ("actors.core.index", "store.environment", "store.log", "store.boot"),  # Orthanc's name for its index
}
_OURS: Final = {*CATEGORIES["generic"], "lua"}
_OWN: Final = {"default": logging.WARNING, "verbose": logging.INFO, "trace": logging.DEBUG}
_FOREIGN: Final = {"default": logging.ERROR, "verbose": logging.INFO, "trace": logging.DEBUG}  # libraries are chatty

# One byte each: how the core tells the supervisor, which reads no index, of a level that REST has set.
LEVEL_WORDS: Final[Mapping[bytes, tuple[str, str]]] = {
    bytes([0x80 + number]): pair for number, pair in enumerate(product(CATEGORIES, LEVELS))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What the command line says about logs. Plain values: sent to every process."""

    level: str = "default"
    categories: Mapping[str, str] = field(default_factory=dict)  # category -> level
    file: Path | None = None  # None: standard error

    def level_of(self, category: str) -> str:
        return self.categories.get(category, self.level)

    def __post_init__(self) -> None:
        unknown = {self.level, *self.categories.values()} - set(LEVELS) or self.categories.keys() - CATEGORIES.keys()
        if unknown:
            raise ValueError(f"no such level or category: {', '.join(sorted(unknown))}")


def configure(options: LogOptions, process: str) -> None:
    """Send this process's logs where `options` say, under the name `process`; replaces what was set before.

    A file is opened for appending, and opened again after it was moved away, so that logrotate needs no signal.
    Raises: OSError if the file cannot be opened.
    """
    handler = WatchedFileHandler(options.file, encoding="utf-8") if options.file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(process))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    set_level(options.level)
    for category, level in options.categories.items():
        set_level(level, category)


def log_standard_error() -> None:
    """Turn warnings, and text that libraries print on standard error, into lines of the log; call `configure` first."""
    sys.stderr = LoggedStderr(logging.getLogger("stderr"))
    logging.captureWarnings(True)


def set_level(level: str, category: str | None = None) -> None:
    """Set the level of one category, or of all of them, in this process."""
    if category is None:
        for each in CATEGORIES:
            set_level(level, each)
        logging.getLogger("aiohttp").setLevel(_FOREIGN[level])
        return
    for name in CATEGORIES[category]:
        own = name.partition(".")[0] in _OURS
        logging.getLogger(name).setLevel((_OWN if own else _FOREIGN)[level])
