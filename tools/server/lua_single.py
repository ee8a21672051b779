"""Both interpreters of Lua scripts in the only process of a server. One that is stuck cannot be killed here."""

from dataclasses import replace
from typing import Any

from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from tools.configuration.lua import with_sources
from tools.server.composition import ServerSettings
from tools.server.links import Links


class LocalInterpreters:
    """Those that the configuration asks for."""

    received: ScriptsClient | None = None  # to the filters' interpreter
    scripts: ScriptsClient | None = None  # to the main one

    def __init__(self, settings: ServerSettings, links: Links) -> None:
        """Load the scripts. Raises BadConfiguration."""
        self._interpreters: list[Any] = []
        if not settings.lua.has_main:
            return
        settings = replace(settings, lua=with_sources(settings.lua))
        from tools.server.lua_processes import FilterInterpreter, MainInterpreter

        if settings.lua.has_filters:
            filtering = FilterInterpreter(settings, Board(), links.begin)
            self.received = filtering.client
            self._interpreters.append(filtering)
        main = MainInterpreter(settings, Board(), replace(links, received=self.received))
        self.scripts = main.client
        self.scripts.board.heartbeat.tick()  # no thread counts further ticks: in one process, a stuck interpreter stops everything anyway
        self._interpreters.append(main)

    def start(self) -> None:
        for interpreter in self._interpreters:
            interpreter.start()

    def stop(self) -> None:
        for interpreter in reversed(self._interpreters):
            interpreter.stop()
