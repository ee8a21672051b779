"""Times as Orthanc writes them: `YYYYMMDDTHHMMSS`, in UTC."""

from datetime import UTC, datetime
from functools import lru_cache


def format_us(at_us: int) -> str:
    """Return microseconds since 1970 as a date of the REST API (whole seconds)."""
    return _format_s(at_us // 1_000_000)


def format_precise_us(at_us: int) -> str:
    """Return microseconds since 1970 as jobs have their dates: with what exceeds the second, if anything does."""
    fraction = at_us % 1_000_000
    return format_us(at_us) + (f".{fraction:06d}" if fraction else "")


@lru_cache(maxsize=1024)  # instances arrive in bursts: many share their second
def _format_s(at_s: int) -> str:
    return format_time(datetime.fromtimestamp(at_s, UTC))


def format_time(moment: datetime) -> str:
    """Return a moment in Orthanc's form, without its zone."""
    return moment.strftime("%Y%m%dT%H%M%S")
