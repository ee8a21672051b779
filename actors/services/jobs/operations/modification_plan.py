"""The plan of a job that changes stored instances, of the types `ResourceModification`, `SplitStudy` and `MergeStudy`: plain values.

A step is some instances (one, if errors of single ones are to be passed over), and one behind them removes the sources, if they are not to be
kept.

| key             | value                                                                                        |
|-----------------|----------------------------------------------------------------------------------------------|
| `instances`     | the identifiers of all instances in their order, 20 bytes each, joined                       |
| `per_step`      | how many instances a step is                                                                 |
| `change`        | what is to change: `store.dicom.change.modification`                                         |
| `secret`        | from which all new UIDs and identifiers follow: a run that goes on draws the same            |
| `level`         | of the resource that is shown as the result; 0: all that came of it are listed               |
| `derivation`    | the metadata that names the source, `ModifiedFrom` or `AnonymizedFrom`; "" for none          |
| `transfer_syntax` | of the new files; "" for those of the sources                                              |
| `lossy_quality` | of what is compressed with loss; 0: that of the configuration                              |
| `keeps_source`, `keeps_labels`, `permissive` | as the request has them                                         |
| `remote_ip`, `username` | who asked: the origin of what is stored                                              |
| `parents`       | identifiers of the resources that were named, in Orthanc's form, each once, in order         |
| `target`        | what clients are shown of a split or a merge besides                                         |
| `description`   | `REST API`                                                                                   |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.services.jobs.operations.store_plan import InstanceList
from events.identifiers import Level, ResourceId
from store.dicom.change.modification import Modification, from_plain, to_plain

NO_LEVEL = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModificationPlan:
    """The plan of one job."""

    instances: Sequence[ResourceId]
    change: Modification
    secret: bytes
    level: Level | None = None
    derivation: str = ""
    transfer_syntax: str = ""
    lossy_quality: int = 0
    keeps_source: bool = True
    keeps_labels: bool = False
    permissive: bool = False
    per_step: int = 1
    remote_ip: str = ""
    username: str = ""
    parents: Sequence[str] = ()
    target: Mapping[str, str] = field(default_factory=dict)
    description: str = "REST API"

    @property
    def steps(self) -> int:
        return -(-len(self.instances) // self.per_step) + 1

    def places(self, step: int) -> range:
        """Return the places of a step's instances in the list; nothing for the last step."""
        return range(*slice(step * self.per_step, (step + 1) * self.per_step).indices(len(self.instances)))


def to_plan(plan: ModificationPlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    return {
        "instances": b"".join(plan.instances),
        "change": to_plain(plan.change),
        "secret": plan.secret,
        "level": NO_LEVEL if plan.level is None else int(plan.level),
        "derivation": plan.derivation,
        "transfer_syntax": plan.transfer_syntax,
        "lossy_quality": plan.lossy_quality,
        "keeps_source": plan.keeps_source,
        "keeps_labels": plan.keeps_labels,
        "permissive": plan.permissive,
        "per_step": plan.per_step,
        "remote_ip": plan.remote_ip,
        "username": plan.username,
        "parents": list(plan.parents),
        "target": dict(plan.target),
        "description": plan.description,
    }


def from_plan(values: Mapping[str, Any]) -> ModificationPlan:
    """Return the plan that a job keeps."""
    plain = {name: values[name] for name in values if name not in {"instances", "change", "level"}}
    return ModificationPlan(
        instances=InstanceList(values["instances"]),
        change=from_plain(values["change"]),
        level=Level(values["level"]) if values["level"] != NO_LEVEL else None,
        **plain,
    )
