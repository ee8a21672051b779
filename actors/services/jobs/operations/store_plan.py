"""The plan of a job that sends instances to a modality, type `DicomModalityStore`: plain values, one step per instance.

With a `commitment` there is one step more, in which the modality is asked to vouch for all of them.

| key             | value                                                                                       |
|-----------------|---------------------------------------------------------------------------------------------|
| `instances`     | the identifiers of all instances in the order of sending, 20 bytes each, joined             |
| `modality`      | where to, as it was when the job was made: `actors.services.remote.modality.to_plain`                |
| `local_aet`     | our title                                                                                   |
| `remote_aet`    | the title that is called, shown to clients: the modality's, or `CalledAet` of the request   |
| `timeout_s`     | of the network, in seconds; 0: none                                                         |
| `parents`       | identifiers of the resources that were named, in Orthanc's form, each once, in order        |
| `originator_aet`, `originator_id` | who has asked by C-MOVE, and the identifier of its message; "" and 0 for none |
| `permissive`    | whether errors of single instances are passed over                                          |
| `commitment`    | the Transaction UID of the storage commitment to be asked for behind the last instance; absent for none |
| `description`   | `REST API`                                                                                  |
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.messages.job_types import MODALITY_STORE
from actors.services.remote.modality import Modality, from_plain, to_plain
from events.identifiers import ResourceId

JOB_TYPE: Final = MODALITY_STORE.name
ID_BYTES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlan:
    """The plan of one job."""

    modality: Modality
    instances: Sequence[ResourceId]
    local_aet: str
    timeout_s: int
    called_aet: str = ""  # "": the modality's
    parents: Sequence[str] = field(default=())
    originator_aet: str = ""
    originator_id: int = 0
    permissive: bool = False
    commitment: str = ""  # "": none
    description: str = "REST API"

    @property
    def steps(self) -> int:
        return len(self.instances) + bool(self.commitment)


def to_plan(plan: StorePlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    asked = {"commitment": plan.commitment} if plan.commitment else {}
    return {
        **asked,
        "instances": b"".join(plan.instances),
        "modality": to_plain(plan.modality),
        "local_aet": plan.local_aet,
        "remote_aet": plan.called_aet or plan.modality.aet,
        "timeout_s": plan.timeout_s,
        "parents": list(plan.parents),
        "originator_aet": plan.originator_aet,
        "originator_id": plan.originator_id,
        "permissive": plan.permissive,
        "description": plan.description,
    }


def from_plan(values: dict[str, Any]) -> StorePlan:
    """Return the plan that a job keeps."""
    return StorePlan(
        modality=from_plain(values["modality"]),
        instances=InstanceList(values["instances"]),
        local_aet=values["local_aet"],
        called_aet=values["remote_aet"],
        timeout_s=values["timeout_s"],
        parents=values["parents"],
        originator_aet=values["originator_aet"],
        originator_id=values["originator_id"],
        permissive=values["permissive"],
        commitment=values.get("commitment", ""),
        description=values["description"],
    )


class InstanceList(Sequence[ResourceId]):
    """Identifiers as the plan holds them: a job of a million instances is one value of 20 MB, not a million."""

    def __init__(self, joined: bytes) -> None:
        self._joined = joined

    def __len__(self) -> int:
        return len(self._joined) // ID_BYTES

    def __getitem__(self, index: Any) -> Any:  # overloaded by Sequence: a position or a slice
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(index)
        return ResourceId(self._joined[position * ID_BYTES : (position + 1) * ID_BYTES])
