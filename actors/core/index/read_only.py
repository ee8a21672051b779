"""What the index still takes with `ReadOnly`: what is recorded of work and of files, nothing that changes the archive.

Every way into the archive ends in a command, so this is where they are all refused: uploads, C-STORE, what a C-GET or a script
fetches, deletions, resources that ripen, cleared feeds, values that scripts keep. A command that is not named here is
refused.
"""

from collections.abc import Iterable
from typing import Final

from actors.messages.commands import (
    Command,
    ControlJob,
    DropCursor,
    DropJobOutput,
    EndJob,
    FailJob,
    FinishJobStep,
    InterruptJob,
    LogExports,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    RecordCallbackSkip,
    ReportDamage,
    ReportRecovery,
    SaveCursor,
    SetSetting,
    StartJob,
    SubmitJob,
    TrimJobs,
)
from events.errors import ReadOnlyArchive

RECORDS: Final = frozenset({
    # jobs: queries, C-STORE to others, C-MOVE
    SubmitJob, ControlJob, StartJob, FinishJobStep, EndJob, FailJob, InterruptJob, TrimJobs, DropJobOutput,
    LogExports,  # what was sent where
    ReportDamage, ReportRecovery,  # what was found of files that are here
    RecordCallbackFailure, RecordCallbackRecovery, RecordCallbackSkip, SaveCursor, DropCursor,  # consumers of the log
    SetSetting,  # which ends with the run
})  # fmt: skip


def check_records(commands: Iterable[Command]) -> None:
    """Raise ReadOnlyArchive unless none of the commands changes the archive."""
    for command in commands:
        if type(command) not in RECORDS:
            raise ReadOnlyArchive
