"""The plan of a job that sends instances to a DICOMweb server, type `DicomWebStowClient`: plain values, some instances a step.

| key          | value                                                                                              |
|--------------|----------------------------------------------------------------------------------------------------|
| `instances`  | the identifiers of all instances in the order of sending, 20 bytes each, joined                    |
| `per_step`   | how many of them one step sends, in one request or, if they are large, in several                  |
| `server`     | its symbolic name: address and secrets are those that it has when the job runs                     |
| `headers`    | further headers of the requests; no reader of the log is shown them                                |
| `named`      | the patients, studies and series that were asked for, as clients see them: `{"Studies": [identifier, …]}`  |
| `parents`    | the same identifiers, each once, in order                                                          |
| `permissive` | whether instances that are not stored are passed over                                              |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.messages.job_types import STOW_CLIENT
from actors.services.jobs.operations.store_plan import InstanceList
from events.identifiers import ResourceId

JOB_TYPE: Final = STOW_CLIENT.name
MOST_IN_A_STEP: Final = 100  # each has its file open


@dataclass(frozen=True, slots=True, kw_only=True)
class StowPlan:
    """The plan of one job."""

    server: str
    instances: Sequence[ResourceId]
    per_step: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parents: Sequence[str] = ()
    permissive: bool = False

    @property
    def steps(self) -> int:
        return -(-len(self.instances) // self.per_step)

    def of_step(self, step: int) -> list[ResourceId]:
        first = step * self.per_step
        return [self.instances[place] for place in range(first, min(first + self.per_step, len(self.instances)))]


def to_plan(plan: StowPlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    values = {name: getattr(plan, name) for name in StowPlan.__dataclass_fields__}
    return values | {"instances": b"".join(plan.instances), "parents": list(plan.parents)}


def from_plan(values: dict[str, Any]) -> StowPlan:
    """Return the plan that a job keeps."""
    return StowPlan(**values | {"instances": InstanceList(values["instances"])})
