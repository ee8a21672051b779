"""The index's part of the configuration: how much the archive may hold."""

from dataclasses import dataclass
from typing import Final

from events.options import Choice, Option, Whole, filled_by

PATIENT_COUNT: Final = "MaximumPatientCount"
STORAGE_SIZE: Final = "MaximumStorageSize"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLimits:
    """What no store goes beyond; 0 is no limit."""

    patients: int = filled_by(Option(PATIENT_COUNT, Whole(), 0))
    size_mb: int = filled_by(Option(STORAGE_SIZE, Whole(unit="MB"), 0))  # of 1,048,576 bytes
    mode: str = filled_by(Option("MaximumStorageMode", Choice(("Recycle", "Reject")), "Recycle"))

    def __bool__(self) -> bool:
        return bool(self.patients or self.size_mb)

    @property
    def size_bytes(self) -> int:
        return self.size_mb << 20

    @property
    def recycles(self) -> bool:
        """Whether the oldest patients make room for what comes; else it is refused."""
        return self.mode == "Recycle"

    def exceeded_by(self, patients: int, size_bytes: int) -> str:
        """Return the name of a limit that an archive of so many patients and bytes exceeds, "" for none."""
        if self.patients and patients > self.patients:
            return PATIENT_COUNT
        return STORAGE_SIZE if self.size_mb and size_bytes > self.size_bytes else ""


NO_LIMITS: Final = StorageLimits()
