"""The plan of a job that vouches for instances, type `StorageCommitmentScp`: plain values.

| key           | value                                                                              |
|---------------|------------------------------------------------------------------------------------|
| `transaction` | the UID that the other side has drawn                                              |
| `remote_aet`  | who has asked, and is told; where that is, is looked up when it is told            |
| `called_aet`  | the title that was asked, by which it is told                                      |
| `references`  | SOP class and SOP instance of each instance, as they were asked for, with repeats  |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.messages.job_types import COMMITMENT_SCP
from store.dicom.commitment import Reference

JOB_TYPE: Final = COMMITMENT_SCP.name
READ_PER_STEP: Final = 100  # instances


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentPlan:
    """The plan of one job."""

    transaction: str
    remote_aet: str
    called_aet: str
    references: Sequence[Reference]

    @property
    def steps(self) -> int:
        """How many steps the job has: instances are read, then the report is sent."""
        return -(-len(self.references) // READ_PER_STEP) + 1


def to_plan(plan: CommitmentPlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    return {
        "transaction": plan.transaction,
        "remote_aet": plan.remote_aet,
        "called_aet": plan.called_aet,
        "references": [list(reference) for reference in plan.references],
    }


def from_plan(values: dict[str, Any]) -> CommitmentPlan:
    """Return the plan that a job keeps."""
    return CommitmentPlan(
        transaction=values["transaction"],
        remote_aet=values["remote_aet"],
        called_aet=values["called_aet"],
        references=[Reference(*reference) for reference in values["references"]],
    )
