"""The plan of a job that makes an archive or a medium, types `Archive` and `Media`: plain values.

| key                  | value                                                                                      |
|----------------------|--------------------------------------------------------------------------------------------|
| `roots`              | the resources: level and ref of each, in turn                                              |
| `folders`            | which folders stand around a file: the name of a `Folders`                                 |
| `is_utf8`            | whether names keep letters of all scripts                                                  |
| `is_media`           | whether there is a DICOMDIR                                                                |
| `is_extended`        | whether that tells what series are called                                                  |
| `transcode`, `quality` | the transfer syntax that files are made into, "" for as they are stored; how good with loss |
| `default_encoding`   | of files that name none                                                                    |
| `filename`           | what a browser saves the output as                                                         |
| `instances`, `uncompressed_bytes` | how much it was when the job was made                                         |
| `description`        | `REST API`                                                                                 |

A step is `STEP_MEMBERS` instances, the last one all that is left.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from actors.messages.job_types import ARCHIVE, MEDIA
from actors.services.archives.selection import Folders, Root
from events.identifiers import LEVELS, Ref

STEP_MEMBERS: Final = 64
KEY: Final = "archive"  # of the output: GET /jobs/{id}/archive


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlan:
    """The plan of one job."""

    roots: tuple[Root, ...]
    folders: Folders
    is_utf8: bool
    is_media: bool
    is_extended: bool
    transcode: str
    quality: int
    default_encoding: str
    filename: str
    instances: int
    uncompressed_bytes: int
    description: str = "REST API"

    @property
    def job_type(self) -> str:
        return (MEDIA if self.is_media else ARCHIVE).name

    @property
    def steps(self) -> int:
        return max(1, -(-self.instances // STEP_MEMBERS))


def to_plan(plan: ArchivePlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    roots = [int(number) for root in plan.roots for number in root]
    return asdict(plan) | {"roots": roots, "folders": plan.folders.name}


def from_plan(values: dict[str, Any]) -> ArchivePlan:
    """Return the plan that a job keeps."""
    numbers = iter(values["roots"])
    roots = tuple(Root(LEVELS[level], Ref(ref)) for level, ref in zip(numbers, numbers, strict=True))
    return ArchivePlan(**values | {"roots": roots, "folders": Folders[values["folders"]]})
