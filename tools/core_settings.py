"""The core's part of the configuration, in a module of its own so that processes which only pass it on load none of its actors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from actors.core.index.settings import StorageLimits
from actors.core.jobs.settings import SchedulerSettings
from actors.messages.worklist_settings import WORKLISTS, WorklistSettings
from actors.services.ingest.settings import IngestSettings
from events.identifiers import Level
from events.options import Option, Whole, filled_by, same_as


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    index_directory: Path
    storage_directory: Path
    stable_age_s: float = filled_by(Option("StableAge", Whole(unit="s"), 60))
    read_only: bool = same_as(IngestSettings, "read_only")
    extra_main_tags: Mapping[Level, tuple[int, ...]] = field(default_factory=dict)
    lua_is_on: bool = False  # LuaScripts or ExecuteLuaEnabled: somebody reads the log for callbacks
    # How fast all files are read again and again; 0: not at all.
    scrub_bytes_per_s: int = filled_by(Option("StorageScrubRateMB", Whole(unit="MB/s", factor=1_000_000), 2))
    worklists: WorklistSettings = filled_by(WORKLISTS)
    limits: StorageLimits = field(default_factory=StorageLimits)
    jobs: SchedulerSettings = field(default_factory=SchedulerSettings)
