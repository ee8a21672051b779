"""The section `Worklists` of the configuration, as Orthanc's worklist plugins name its members; the core and the gateways read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from events.options import Boolean, File, Kind, Members, Option, Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistSettings:
    """How worklists are served."""

    is_enabled: bool = False
    folder: Path | None = None  # of `.wl` files
    filters_issuer: bool = False  # whoever asks is shown what is scheduled for its own title
    limit_answers: int = 0  # 0: all
    draws_study_uid: bool = True  # for an entry that is made without one
    ends_with_study: bool = True  # an entry by REST goes once its study is there and stable
    kept_hours: int = 0  # such an entry goes at this age; 0: never
    housekeeping_s: int = 60  # between two looks for entries that are to go


_MEMBERS: Final[Mapping[str, tuple[str, Kind]]] = {
    "Enable": ("is_enabled", Boolean()),
    "Directory": ("folder", File()),
    "Database": ("folder", File()),  # its name in the older plugin
    "FilterIssuerAet": ("filters_issuer", Boolean()),
    "LimitAnswers": ("limit_answers", Whole()),
    "SetStudyInstanceUidIfMissing": ("draws_study_uid", Boolean()),
    "DeleteWorklistsOnStableStudy": ("ends_with_study", Boolean()),
    "DeleteWorklistsDelay": ("kept_hours", Whole(unit="hours")),
    "HousekeepingInterval": ("housekeeping_s", Whole(1, unit="s")),
    # Entries by REST lie in the index in any case; the ids of matches are not logged.
    "SaveInOrthancDatabase": ("", Boolean()),
    "LogMatchedWorklistIds": ("", Boolean()),
}


@dataclass(frozen=True, slots=True)
class _Section(Members):
    def problem(self, value: object) -> str | None:
        if reason := Members.problem(self, value):
            return reason
        twice = isinstance(value, dict) and {"Directory", "Database"} <= value.keys()
        return "Directory and Database name the same: one is enough" if twice else None


WORKLISTS: Final = Option(
    "Worklists", _Section(WorklistSettings, _MEMBERS), {}, convert=lambda read: read or WorklistSettings()
)
