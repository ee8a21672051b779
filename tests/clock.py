"""A clock that tests set by hand: nothing waits, time passes when a test says so."""

from dataclasses import dataclass

DAY_US = 86_400_000_000


@dataclass(slots=True)
class Clock:
    """The wall clock (called, UTC in microseconds) and the monotonic one (`monotonic`, in seconds)."""

    now_us: int = 1_700_000_000_000_000
    uptime_s: float = 1_000.0

    def __call__(self) -> int:
        return self.now_us

    def monotonic(self) -> float:
        return self.uptime_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.now_us += int(seconds * 1e6)
        self.uptime_s += seconds

    def set_by_a_day(self, days: int) -> None:
        """Somebody sets the wall clock; the monotonic one does not mind."""
        self.now_us += days * DAY_US
