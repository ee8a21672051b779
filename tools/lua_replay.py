"""`sinogram lua replay`: shows what scripts would have done for past events, without doing it (`actors.services.lua.rehearsal`).

The archive is opened for reading, whether its server runs or not.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from actors.services.lua.dry_run import show
from actors.services.scripts import callbacks
from actors.services.scripts.errors import ScriptFailed, describe_loading
from actors.services.scripts.replays import Rehearsed
from events.errors import BadConfiguration
from tools.replay import open_for_reading
from tools.server.composition import ServerSettings
from tools.server.rehearsing import rehearsing

KIND_WIDTH: Final = 11


def replay_scripts(settings: ServerSettings, scripts: Sequence[Path], *, since: int, until: int | None = None) -> int:
    """Run the scripts' callbacks for the events from `since` to `until`, both included.

    Returns the exit status: 0, or 1 if a callback failed. Raises BadConfiguration for a script that cannot be loaded.
    """
    with (
        open_for_reading(settings.index_directory) as environment,
        rehearsing(settings, environment, _print) as rehearsal,
    ):
        for script in scripts:
            try:
                rehearsal.load(str(script), script.read_bytes())
            except OSError as exc:
                raise BadConfiguration(f"{script}: {exc.strerror}") from exc
            except ScriptFailed as exc:
                raise BadConfiguration(describe_loading(script, exc)) from exc
        for _ in rehearsal.run(environment, since, until):
            pass
    _print_summary(rehearsal.counts)
    return 1 if rehearsal.counts["failed"] else 0


def _print(told: Rehearsed) -> None:
    """Print what a callback would do, if it would do anything."""
    if told.failure is not None and not told.callback:  # why the command ends
        return
    effects = list(told.effects)
    if told.left_out:
        effects.append(("more", f"{told.left_out} effects of this callback are not shown"))
    if told.failure is not None:
        effects.append(("failed", show(told.failure.message.encode())))
    if effects:
        print(_heading(told))
    for kind, text in effects:
        print(f"{'':>12}{kind:<{KIND_WIDTH}}{text}")


def _print_summary(counts: Counter[str]) -> None:
    print(f"{counts.pop('events', 0)} events")
    for name in (*callbacks.ALL, *sorted(counts.keys() - set(callbacks.ALL))):
        if counts[name]:
            print(f"{counts[name]:>10}  {name}")


def _heading(told: Rehearsed) -> str:
    if not told.seq:
        return f"{'-':>10}  {told.callback or f'{told.subject} is loaded'}"
    when = datetime.fromtimestamp(told.at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    note = "  (gone since: main tags alone)" if told.is_partial else ""
    return f"{told.seq:>10}  {when}  {told.callback} {told.subject}{note}"
