"""Limits of a codec's process: what it may use, and how long it is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from events.numbered_warnings import WARNINGS
from events.options import Option, Whole, filled_by

IDLE_S: Final = 60.0  # an unused process ends after this time
# Of one process; then it is replaced, with whatever a library has leaked: 0.04 kB a frame was the most that was seen. A new one takes 0.3 s.
MOST_FRAMES: Final = 20_000
KEPT_BYTES: Final = 64 << 20  # a process whose frame was larger ends with its image, and gives the memory back


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecSettings:
    """The limits of one pool."""

    processes: int = filled_by(
        Option("CodecProcesses", Whole(1, 64), 2)
    )  # at most, of each server process that decodes
    memory_mb: int = filled_by(Option("CodecMemory", Whole(512, 1 << 20, "MB"), 2048))  # address space of one process
    processor_s: int = filled_by(Option("CodecProcessorTime", Whole(1, 86_400, "s"), 30))  # for one frame
    timeout_s: int = filled_by(Option("CodecTimeout", Whole(1, 86_400, "s"), 60))  # for one frame, by the clock
    # Of what is compressed with loss, where nobody says another one.
    lossy_quality: int = filled_by(Option("DicomLossyTranscodingQuality", Whole(1, 100), 90))
    warnings: frozenset[str] = filled_by(WARNINGS)
    # Who stores goes before who looks: else eight clients of previews left a third of its rate to ingest.
    niceness: int = 10
    scratch: Path | None = None  # where decoded images lie that are too large for memory; None: the system's place
