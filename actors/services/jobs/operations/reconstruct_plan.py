"""The plan of a job that reads main DICOM tags from files again, type `Reconstruct`: plain values.

| key           | value                                                                                             |
|---------------|---------------------------------------------------------------------------------------------------|
| `level`       | of the resource that was named; 0: everything                                                     |
| `resource`    | its ref                                                                                           |
| `is_limited`  | whether only its own tags are read, from one file                                                 |
| `instances`   | the refs with which parts of instances begin; what came later is as it is configured now           |
| `patients`    | likewise of patients, where everything is read                                                    |
| `parents`     | the identifier of the resource that was named, in Orthanc's form                                  |
| `description` | `REST API`                                                                                        |

A step reads a part of the instances. Then those of the parts of patients follow, whose files tell the tags of what lies above instances.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from actors.messages.job_types import RECONSTRUCT
from events.identifiers import Level, Ref, ResourceId, format_resource_id
from store.records import Resource
from store.views.snapshot import Snapshot
from store.views.views import Views

JOB_TYPE: Final = RECONSTRUCT.name
PART_INSTANCES: Final = 100  # read in 60 ms, and in one command to the index, which they hold for some 10 ms
PART_PATIENTS: Final = 20
_REFS_PER_SNAPSHOT: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructPlan:
    """The plan of one job."""

    level: Level | None  # None: everything
    resource: Ref | None = None
    is_limited: bool = False
    instances: list[int] = field(default_factory=list)
    patients: list[int] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return 1 if self.is_limited else len(self.instances) + (1 if self.level else len(self.patients)) or 1


def plan_resource(s: Snapshot, level: Level, ref: Ref, resource: ResourceId, *, is_limited: bool) -> ReconstructPlan:
    """Return the plan for a resource and all below it, or for its own tags alone."""
    refs = [] if is_limited else sorted(instances_of(s, level, ref))
    return ReconstructPlan(
        level=level,
        resource=ref,
        is_limited=is_limited,
        instances=list(refs[::PART_INSTANCES]),
        parents=[format_resource_id(resource)],
    )


def plan_everything(views: Views) -> ReconstructPlan:
    """Return the plan for all there is."""
    return ReconstructPlan(
        level=None,
        instances=list(islice(_all_refs(views, Level.INSTANCE), 0, None, PART_INSTANCES)),
        patients=list(islice(_all_refs(views, Level.PATIENT), 0, None, PART_PATIENTS)),
    )


def instances_of(s: Snapshot, level: Level, ref: Ref) -> list[Ref]:
    """Return the refs of a resource's instances. Raises KeyError if it is gone."""
    record = s.get_ref(level, ref)
    return list(s.descendant_refs(record, Level.INSTANCE)) if isinstance(record, Resource) else [ref]


def _all_refs(views: Views, level: Level) -> Iterator[Ref]:
    """Iterate over the refs of a level; no snapshot is held for long."""
    last: Ref | None = None
    while True:
        with views.snapshot() as s:
            refs = list(islice(s.list_refs(level, after=last), _REFS_PER_SNAPSHOT))
        yield from refs
        if len(refs) < _REFS_PER_SNAPSHOT:
            return
        last = refs[-1]


def to_plan(plan: ReconstructPlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    return {
        "level": int(plan.level or 0),
        "resource": plan.resource or 0,
        "is_limited": plan.is_limited,
        "instances": plan.instances,
        "patients": plan.patients,
        "parents": plan.parents,
        "description": "REST API",
    }


def from_plan(values: dict[str, Any]) -> ReconstructPlan:
    """Return the plan that a job keeps."""
    return ReconstructPlan(
        level=Level(values["level"]) if values["level"] else None,
        resource=Ref(values["resource"]) if values["resource"] else None,
        is_limited=values["is_limited"],
        instances=values["instances"],
        patients=values["patients"],
        parents=values["parents"],
    )
