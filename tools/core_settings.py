"""What the core is told; apart from it, so that processes which only pass it on load none of its actors."""

from dataclasses import dataclass, field
from pathlib import Path

from actors.core.jobs.settings import SchedulerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    index_directory: Path
    storage_directory: Path
    stable_age_s: float = 60.0  # StableAge
    read_only: bool = False  # ReadOnly
    lua_is_on: bool = False  # LuaScripts or ExecuteLuaEnabled: somebody reads the log for callbacks
    scrub_bytes_per_s: int = 2_000_000  # how fast all files are read again and again; 0: not at all
    jobs: SchedulerSettings = field(default_factory=SchedulerSettings)
