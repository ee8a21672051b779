"""The plan of a job that retrieves instances from a DICOMweb server, type `DicomWebWadoRetrieveClient`: plain values, one step per address.

| key          | value                                                                            |
|--------------|----------------------------------------------------------------------------------|
| `server`     | its symbolic name: address and secrets are those that it has when the job runs   |
| `targets`    | what stands behind the address of the server: `studies/1.2.3/series/1.2.3.4`     |
| `headers`    | further headers of the requests; no reader of the log is shown them              |
| `permissive` | whether what cannot be retrieved or stored is passed over                        |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.messages.job_types import WADO_RETRIEVE_CLIENT

JOB_TYPE: Final = WADO_RETRIEVE_CLIENT.name


@dataclass(frozen=True, slots=True, kw_only=True)
class WadoRetrievePlan:
    """The plan of one job."""

    server: str
    targets: Sequence[str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    permissive: bool = False


def to_plan(plan: WadoRetrievePlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    return {name: getattr(plan, name) for name in WadoRetrievePlan.__dataclass_fields__}


def from_plan(values: dict[str, Any]) -> WadoRetrievePlan:
    """Return the plan that a job keeps."""
    return WadoRetrievePlan(**values)
