"""The plan of a retrieval, job types `DicomMoveScu` and `DicomGetScu`: plain values, one step per query.

| key           | value                                                                                               |
|---------------|-----------------------------------------------------------------------------------------------------|
| `modality`    | whom to ask, as it was when the job was made: `actors.services.remote.modality.to_plain`                     |
| `method`      | `C-MOVE` or `C-GET`; says the same as the job's type                                                |
| `local_aet`   | our title                                                                                           |
| `remote_aet`  | the modality's title, shown to clients                                                              |
| `target_aet`  | where C-MOVE sends to; "" for C-GET                                                                 |
| `timeout_s`   | of the network, in seconds; 0: none                                                                 |
| `queries`     | `[level, [[tag, value], …]]` each: a `Level`, and what the client or the answer says of the resource |
| `form`        | `short`, `full` or `simplify`: how the queries are shown to clients                                 |
| `permissive`  | whether errors of single queries are passed over                                                    |
| `description` | `REST API`                                                                                          |

What is sent of a query: C-MOVE sends the keys that name the resource and nothing else (`sent_keys`), C-GET all of them;
both with the level. Source: observed on Orthanc 1.12.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.messages.job_types import GET_SCU, MOVE_SCU
from actors.services.remote.modality import Modality, from_plain, to_plain
from actors.services.remote.query import LEVEL_WORD, UNIQUE_KEYS
from events.identifiers import Level
from store.dicom.matching import Dataset
from store.dicom.rendering import Form
from store.dicom.tags import QUERY_RETRIEVE_LEVEL

MOVE: Final = "C-MOVE"
GET: Final = "C-GET"
JOB_TYPE: Final = {MOVE: MOVE_SCU.name, GET: GET_SCU.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """One resource to be retrieved."""

    level: Level
    keys: Dataset  # without QueryRetrieveLevel

    def sent_keys(self, method: str) -> Dataset:
        """Return the identifier to be sent, but for its character set; file meta information stays here."""
        names = UNIQUE_KEYS[self.level] if method == MOVE else self.keys
        sent = {tag: self.keys.get(tag, "") for tag in names if tag >> 16 != 2}
        return {**sent, QUERY_RETRIEVE_LEVEL: LEVEL_WORD[self.level]}

    def shown_keys(self) -> Dataset:
        """Return what clients are shown in the job's content."""
        return {**self.keys, QUERY_RETRIEVE_LEVEL: LEVEL_WORD[self.level]}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievePlan:
    """The plan of one job."""

    modality: Modality
    method: str
    local_aet: str
    target_aet: str
    timeout_s: int
    queries: Sequence[Retrieval]
    form: Form = "short"
    permissive: bool = False
    description: str = "REST API"


def to_plan(plan: RetrievePlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    return {
        "modality": to_plain(plan.modality),
        "method": plan.method,
        "local_aet": plan.local_aet,
        "remote_aet": plan.modality.aet,
        "target_aet": plan.target_aet,
        "timeout_s": plan.timeout_s,
        "queries": [[query.level, [[tag, value] for tag, value in query.keys.items()]] for query in plan.queries],
        "form": plan.form,
        "permissive": plan.permissive,
        "description": plan.description,
    }


def from_plan(values: dict[str, Any]) -> RetrievePlan:
    """Return the plan that a job keeps."""
    return RetrievePlan(
        modality=from_plain(values["modality"]),
        method=values["method"],
        local_aet=values["local_aet"],
        target_aet=values["target_aet"],
        timeout_s=values["timeout_s"],
        queries=[Retrieval(level=Level(level), keys=dict(keys)) for level, keys in values["queries"]],
        form=values["form"],
        permissive=values["permissive"],
        description=values["description"],
    )
