"""The levels of logs that REST sets for all processes; apart from the REST API, for processes that have none."""

from typing import Final

LOG_CATEGORIES: Final = ("generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua")
LOG_LEVELS: Final = ("default", "verbose", "trace")


def log_level_setting(category: str) -> str:
    """Return the name under which the index keeps the level of a category."""
    return f"LogLevel-{category}"
