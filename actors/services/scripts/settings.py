"""The interpreters' part of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from actors.services.scripts.limits import Limits
from events.options import Boolean, Option, Whole, filled_by

# The processes of the two interpreters.
LUA_FILTER: Final = "lua-filter"  # the filters of received instances
LUA_MAIN: Final = "lua-main"  # all other callbacks

# How long another process waits for the main interpreter, which may be busy with a slow callback, and for the filters'.
# Then the answer is Busy: HTTP 503, C-FIND 0xA700, C-STORE 0xA700.
PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LuaSettings:
    scripts: tuple[Path, ...] = ()  # `LuaScripts` in order, folders replaced by the `.lua` files in them
    sources: tuple[bytes, ...] = field(default=(), repr=False)  # what stands in them, once a start has read them
    limits: Limits = field(default_factory=Limits)
    sandbox: bool = filled_by(Option("LuaSandbox", Boolean(), default=False))
    heart_beat_s: int = filled_by(Option("LuaHeartBeatPeriod", Whole(unit="s"), 0))  # 0: none
    execute_enabled: bool = filled_by(Option("ExecuteLuaEnabled", Boolean(), default=False))
    configuration: Mapping[str, Any] = field(
        default_factory=dict, repr=False
    )  # GetOrthancConfiguration(); holds secrets

    @property
    def has_filters(self) -> bool:
        """Tell whether the interpreter of the received-instance filters has anything to do."""
        return bool(self.scripts)

    @property
    def has_main(self) -> bool:
        return bool(self.scripts) or self.execute_enabled
