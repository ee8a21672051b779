"""The types of jobs, a row each: as it is called, what does it, how patient it is, which files it may make.

A new type is a row here and a module in `actors/services/jobs/operations`. Clients are shown the `description` of its plan and the
operation's `result`; a type of which more is to be seen on the way has a function in `api/rest/render_jobs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from actors.messages.job_retries import DEFAULT, REMOTE, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class JobType:
    """What the engine knows of a type."""

    name: str  # Orthanc's
    operation: str  # "module.Class" in actors.services.jobs.operations; imported when the first job comes
    strategy: Strategy = DEFAULT
    outputs: frozenset[str] = frozenset()  # the keys of files that it may add: GET /jobs/{id}/{key}


MODALITY_STORE: Final = JobType(name="DicomModalityStore", operation="modality_store.ModalityStore", strategy=REMOTE)
PEER_STORE: Final = JobType(name="OrthancPeerStore", operation="peer_store.PeerStore", strategy=REMOTE)
MOVE_SCU: Final = JobType(name="DicomMoveScu", operation="retrieve.MoveScu", strategy=REMOTE)
GET_SCU: Final = JobType(name="DicomGetScu", operation="retrieve.GetScu", strategy=REMOTE)
COMMITMENT_SCP: Final = JobType(
    name="StorageCommitmentScp", operation="commitment_report.CommitmentReporting", strategy=REMOTE
)
STOW_CLIENT: Final = JobType(name="DicomWebStowClient", operation="stow_client.StowClient", strategy=REMOTE)
WADO_RETRIEVE_CLIENT: Final = JobType(
    name="DicomWebWadoRetrieveClient", operation="wado_retrieve_client.WadoRetrieve", strategy=REMOTE
)
SEQUENCE: Final = JobType(name="SequenceOfOperations", operation="sequence.SequenceOfOperations", strategy=REMOTE)

ARCHIVE: Final = JobType(name="Archive", operation="archive.MakeArchive", outputs=frozenset({"archive"}))
MEDIA: Final = JobType(name="Media", operation="archive.MakeArchive", outputs=frozenset({"archive"}))
RECONSTRUCT: Final = JobType(name="Reconstruct", operation="reconstruct.Reconstruct")
RESOURCE_MODIFICATION: Final = JobType(
    name="ResourceModification", operation="resource_modification.ResourceModification"
)
MERGE_STUDY: Final = JobType(name="MergeStudy", operation="resource_modification.ResourceModification")
SPLIT_STUDY: Final = JobType(name="SplitStudy", operation="resource_modification.ResourceModification")

JOB_TYPES: Final[Mapping[str, JobType]] = MappingProxyType(
    {
        row.name: row
        for row in (
            MODALITY_STORE,
            PEER_STORE,
            MOVE_SCU,
            GET_SCU,
            STOW_CLIENT,
            WADO_RETRIEVE_CLIENT,
            COMMITMENT_SCP,
            SEQUENCE,
            ARCHIVE,
            MEDIA,
            RECONSTRUCT,
            RESOURCE_MODIFICATION,
            MERGE_STUDY,
            SPLIT_STUDY,
        )
    }
)


def strategy_of(job_type: str) -> Strategy:
    """Return how patient jobs of a type are, also of one that another release has left."""
    row = JOB_TYPES.get(job_type)
    return DEFAULT if row is None else row.strategy
