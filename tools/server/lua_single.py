"""Both interpreters of Lua scripts in the only process of a server. One that is stuck cannot be killed here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actors.messages.commands.command import Command
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.wire.bridge.channel import open_local_channel
from tools.configuration.lua import with_sources
from tools.server.composition import ServerSettings
from tools.server.core import Core


class LocalInterpreters:
    """Those that the configuration asks for."""

    received: ScriptsClient | None = None  # to the filters' interpreter
    scripts: ScriptsClient | None = None  # to the main one

    def __init__(self, settings: ServerSettings, core: Core, control: Callable[[str], None]) -> None:
        """Load the scripts. Raises BadConfiguration."""
        self._interpreters: list[Any] = []
        if not settings.lua.has_main:
            return
        settings = replace(settings, lua=with_sources(settings.lua))
        from tools.server.lua_processes import FilterInterpreter, MainInterpreter

        index = open_local_channel(lambda values, reply: core.index.submit(values[0], reply))

        def begin(command: Command) -> Callable[[], Any]:
            return index.begin([command])

        if settings.lua.has_filters:
            filtering = FilterInterpreter(settings, Board(), begin)
            self.received = filtering.client
            self._interpreters.append(filtering)
        main = MainInterpreter(
            settings,
            Board(),
            name="lua-main",
            ask=core.index.ask,
            begin=begin,
            jobs=open_local_channel(core.jobs.on_request),
            log_watch=open_local_channel(core.log.on_request),
            control=control,
            received=self.received,
            environment=core.environment,
        )
        self.scripts = main.client
        self.scripts.board.heartbeat.tick()  # nobody counts further: where one is stuck, all are
        self._interpreters.append(main)

    def start(self) -> None:
        for interpreter in self._interpreters:
            interpreter.start()

    def stop(self) -> None:
        for interpreter in reversed(self._interpreters):
            interpreter.stop()
