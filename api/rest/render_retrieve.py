"""The content of the jobs `DicomMoveScu` and `DicomGetScu` as Orthanc's JSON."""

from collections.abc import Mapping
from typing import Any

from actors.services.jobs.operations.retrieve_plan import MOVE, from_plan
from api.rest.render_answers import render_keys


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
