"""Keeps the levels of this process's logs as REST has set them (`PUT /tools/log-level…`), until the next start."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from api.log_settings import log_level_setting
from events.errors import SinogramError
from store.views.views import Views
from tools.server.logging_setup import CATEGORIES, LogOptions, set_level

LOOK_S: Final = 1.0  # between two looks: seven short reads, 50 µs


class LogLevels:
    """A thread that looks at the settings."""

    def __init__(
        self, views: Views, options: LogOptions, on_change: Callable[[str, str], None] = lambda _category, _level: None
    ) -> None:
        """`on_change` is told of each category and its new level, in the thread that looks."""
        self._views = views
        self._options = options
        self._on_change = on_change
        self._known = {category: options.level_of(category) for category in CATEGORIES}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-levels", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; call it before the environment is closed."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            with suppress(SinogramError):  # a read that matters reports its own error
                self.look()

    def look(self) -> None:
        """Bring the levels up to date. Raises CorruptIndex, StorageFailed."""
        for category, known in self._known.items():
            with self._views.snapshot() as snapshot:
                level = snapshot.setting(log_level_setting(category)) or self._options.level_of(category)
            if level != known:
                self._known[category] = level
                set_level(level, category)
                self._on_change(category, level)
