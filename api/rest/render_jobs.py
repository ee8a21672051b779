"""A job as Orthanc's JSON, with the content of its type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from actors.messages.job_types import (
    ARCHIVE,
    COMMITMENT_SCP,
    GET_SCU,
    MEDIA,
    MERGE_STUDY,
    MODALITY_STORE,
    MOVE_SCU,
    PEER_STORE,
    RESOURCE_MODIFICATION,
    SEQUENCE,
    SPLIT_STUDY,
    STOW_CLIENT,
    WADO_RETRIEVE_CLIENT,
)
from actors.services.jobs.operations.retrieve_plan import MOVE, from_plan
from actors.services.jobs.operations.store_plan import ID_BYTES, InstanceList
from api.errors import describe
from api.rest.render_answers import render_keys
from events.identifiers import format_resource_id
from store.projections.job_rows import Job, JobState
from store.times import format_precise_us
from store.views.jobs import Plan, get_error_details, get_plan, get_result
from store.views.snapshot import Snapshot

ERASED = Plan({}, "")


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its plan, its result and its error."""

    job: Job
    plan: Plan
    error_details: str
    result: Mapping[str, Any]


def view_job(snapshot: Snapshot, job: Job) -> JobView:
    """Gather a job from the read models and the log."""
    plan = get_plan(snapshot, job.ref) or ERASED
    return JobView(job, plan, get_error_details(snapshot, job), get_result(snapshot, job))


def render_job(view: JobView, now_us: int) -> dict[str, Any]:
    """Return what `GET /jobs/{id}` shows. Source: observed on Orthanc 1.12.7; UserData and Resources are later ones'.

    Resources is there for jobs about resources of this archive; how 1.12.11 forms it could not be observed.
    """
    job, progress = view.job, view.job.progress
    runtime_us = _runtime_us(job, now_us)
    shown: dict[str, Any] = {
        "Content": render_content(view),
        "CreationTime": format_precise_us(job.created_us),
        "EffectiveRuntime": runtime_us // 1000 / 1000,
        "ErrorCode": progress.code,
        "ErrorDescription": describe(progress.code),
        "ErrorDetails": view.error_details,
        "ID": str(UUID(bytes=job.id)),
        "Priority": job.priority,
        "Progress": percent(job),
        "State": progress.state.name,
        "Timestamp": format_precise_us(now_us),
        "Type": job.type,
    }
    if progress.state.is_completed:
        shown["CompletionTime"] = format_precise_us(progress.completed_us)
    if progress.state is JobState.Running and 0 < progress.position < job.steps:
        left_us = runtime_us * (job.steps - progress.position) // progress.position
        shown["EstimatedTimeOfArrival"] = format_precise_us(now_us + left_us)
    if view.plan.user_data:
        shown["UserData"] = msgspec.json.decode(view.plan.user_data)
    if named := _named(view):
        shown["Resources"] = named
    return shown


def _named(view: JobView) -> list[str]:
    """Return the identifiers of the resources that were named when the job was made, each once."""
    return sorted(set(view.plan.values.get("parents", ())))


def percent(job: Job) -> int:
    if job.progress.state is JobState.Success:
        return 100
    return (200 * job.progress.position + job.steps) // (2 * job.steps) if job.steps else 0  # halves go up


def _runtime_us(job: Job, now_us: int) -> int:
    progress = job.progress
    running_us = max(0, now_us - progress.started_us) if progress.state is JobState.Running else 0
    return progress.runtime_us + running_us


def render_content(view: JobView) -> dict[str, Any]:
    """Return what the type of the job says of itself."""
    render = _CONTENTS.get(view.job.type, _of_any_type)
    return {**render(view), **view.result}


def _of_any_type(view: JobView) -> dict[str, Any]:
    return {"Description": view.plan.values.get("description", "REST API")}


def _of_modality_store(view: JobView) -> dict[str, Any]:
    values = view.plan.values
    shown = {
        **_of_any_type(view),
        "FailedInstancesCount": view.job.progress.failed,
        "InstancesCount": view.job.steps - bool(values.get("commitment")),
        "LocalAet": values.get("local_aet", ""),
        "RemoteAet": values.get("remote_aet", ""),
    }
    if named := _named(view):
        shown["ParentResources"] = named
    if values.get("commitment"):
        shown["StorageCommitmentTransactionUID"] = values["commitment"]
    if values.get("originator_aet"):
        shown |= {"MoveOriginatorAET": values["originator_aet"], "MoveOriginatorID": values["originator_id"]}
    return shown


def _of_commitment(view: JobView) -> dict[str, Any]:
    values = view.plan.values
    return {
        "CalledAet": values.get("called_aet", ""),
        "Description": "",
        "RemoteAet": values.get("remote_aet", ""),
        "TransactionUid": values.get("transaction", ""),
    }


def _of_peer_store(view: JobView) -> dict[str, Any]:
    values = view.plan.values
    shown = {
        **_of_any_type(view),
        "Compress": values.get("compress", False),
        "FailedInstancesCount": view.job.progress.failed,
        "InstancesCount": view.job.steps,
        "Peer": values.get("shown", []),
        "Size": "0",  # of what was sent, once it is
        "SizeMB": 0,
    }
    if named := _named(view):
        shown["ParentResources"] = named
    if values.get("transcode"):
        shown["Transcode"] = values["transcode"]
    return shown


def _of_stow_client(view: JobView) -> dict[str, Any]:
    values = view.plan.values
    instances = InstanceList(values.get("instances", b""))
    named = dict(values.get("named", {})) if instances else None
    if named is not None:  # as the plugin of Orthanc: the resources that were named, and all instances of theirs
        named["Instances"] = [format_resource_id(instance) for instance in instances]
    return {"InstancesCount": str(len(instances)), "Resources": named, "Server": values.get("server", "")}


def _of_wado_retrieve_client(_: JobView) -> dict[str, Any]:
    return {}


def _of_retrieve(view: JobView) -> dict[str, Any]:
    return render_retrieve(view.plan.values) if view.plan.values else _of_any_type(view)


def _of_change(view: JobView) -> dict[str, Any]:
    instances = len(view.plan.values.get("instances", b"")) // ID_BYTES
    return {
        **_of_any_type(view),
        "FailedInstancesCount": view.job.progress.failed,
        "InstancesCount": instances,
        **view.plan.values.get("target", {}),
    }


def _of_modification(view: JobView) -> dict[str, Any]:
    values = view.plan.values
    shown = {**_of_change(view), "IsAnonymization": bool(values.get("change", {}).get("edition"))}
    if named := _named(view):
        shown["ParentResources"] = named
    if transfer_syntax := values.get("transfer_syntax"):
        shown["Transcode"] = transfer_syntax
    return shown


def _of_archive(view: JobView) -> dict[str, Any]:
    values = view.plan.values
    size_bytes = values.get("uncompressed_bytes", 0)
    shown = {
        **_of_any_type(view),
        "ArchiveSize": "0",  # once it is made
        "ArchiveSizeMB": 0,
        "InstancesCount": values.get("instances", 0),
        "UncompressedSize": str(size_bytes),
        "UncompressedSizeMB": size_bytes >> 20,
    }
    return shown | ({"Transcode": values["transcode"]} if values.get("transcode") else {})


def _of_sequence(view: JobView) -> dict[str, Any]:
    return {"CountOperations": len(view.plan.values.get("operations", ())), **_of_any_type(view)}


_CONTENTS: MappingProxyType[str, Callable[[JobView], dict[str, Any]]] = MappingProxyType(
    {
        MODALITY_STORE.name: _of_modality_store,
        PEER_STORE.name: _of_peer_store,
        COMMITMENT_SCP.name: _of_commitment,
        STOW_CLIENT.name: _of_stow_client,
        WADO_RETRIEVE_CLIENT.name: _of_wado_retrieve_client,
        MOVE_SCU.name: _of_retrieve,
        GET_SCU.name: _of_retrieve,
        SEQUENCE.name: _of_sequence,
        ARCHIVE.name: _of_archive,
        MEDIA.name: _of_archive,
        RESOURCE_MODIFICATION.name: _of_modification,
        SPLIT_STUDY.name: _of_change,
        MERGE_STUDY.name: _of_change,
    }
)


def render_retrieve(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job shows of its plan, `actors.services.jobs.operations.retrieve_plan`."""
    plan = from_plan(dict(values))
    shown: dict[str, Any] = {
        "Description": plan.description,
        "LocalAet": plan.local_aet,
        "Query": [render_keys(query.shown_keys(), plan.form) for query in plan.queries],
        "RemoteAet": plan.modality.aet,
    }
    if plan.method == MOVE:
        shown["TargetAet"] = plan.target_aet
    return shown
