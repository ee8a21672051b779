"""`/modalities/{name}/store` and `store-straight`: instances sent to a modality. Source: observed on Orthanc 1.12.7."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import falcon

from actors.services.jobs.operations.store_plan import JOB_TYPE, StorePlan, to_plan
from actors.services.remote.asking import as_busy
from actors.services.remote.modality import Modality
from actors.services.remote.outgoing import admission
from actors.services.remote.sent_file import send_file
from actors.services.remote.stored_sender import fallbacks_for
from api.errors import BadType, OutOfRange
from api.rest import runtime
from api.rest.deps import Deps, Routes
from api.rest.exports import log_exports
from api.rest.job_submission import JobRequest, is_permissive, submit
from api.rest.modalities import ONE_MODALITY, find_modality
from api.rest.received_file import received
from api.rest.remote_request import remote_of, requested_timeout
from api.rest.sent_resources import find_roots, instances_of, read_names
from api.rest.serving.auth import correlation_of
from api.rest.serving.body import read_text
from api.rest.serving.replies import send_json
from events.identifiers import format_resource_id
from store.dicom.uids import draw_uid

_MOST_PORTS: Final = 0xFFFF
_MOST_IDS: Final = 0xFFFF  # of messages


class Store:
    """`POST /modalities/{name}/store`: the body names resources of any level, as one identifier, a list or an object."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps = self._deps
        configured = find_modality(deps, name)
        names, body = read_names(read_text(req))
        modality = _overridden(configured, body)
        remote = remote_of(deps, modality, _optional_text(body, "LocalAet"), requested_timeout(body))
        is_committed = _typed(body, "StorageCommitment", bool, default=False)
        roots = find_roots(deps, names)
        plan = StorePlan(
            modality=modality,
            instances=[instance for root in roots for instance in instances_of(deps, root.level, root.ref)],
            local_aet=remote.local_aet,
            timeout_s=remote.timeout_s,
            parents=sorted({format_resource_id(root.id) for root in roots}),
            originator_aet=_typed(body, "MoveOriginatorAet", str, default=""),
            originator_id=_ranged(body, "MoveOriginatorID", 0, _MOST_IDS),
            permissive=is_permissive(body),
            commitment=draw_uid() if is_committed else "",
        )
        log_exports(deps, name, [(root.level, root.id) for root in roots], correlation_of(req))
        request = JobRequest(type=JOB_TYPE, plan=to_plan(plan), steps=plan.steps)
        submit(deps, req, resp, request, body)


def _overridden(modality: Modality, body: Mapping[str, Any]) -> Modality:
    """Return a modality as this request calls it."""
    return replace(
        modality,
        aet=_typed(body, "CalledAet", str, default=modality.aet),
        host=_typed(body, "Host", str, default=modality.host),
        port=_ranged(body, "Port", modality.port, _MOST_PORTS),
    )


def _optional_text(body: Mapping[str, Any], name: str) -> str | None:
    return _typed(body, name, str, default="") if name in body else None


def _ranged(body: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value: int = _typed(body, name, int, default=default)
    if not 0 <= value <= most:
        raise OutOfRange
    return value


def _typed(body: Mapping[str, Any], name: str, kind: type, *, default: Any) -> Any:
    """Return a field of a type. Raises BadType, of which Orthanc says nothing more."""
    value = body.get(name, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadType
    return value


class StoreStraight:
    """`POST /modalities/{name}/store-straight`: the body is a DICOM file, which is sent at once and not stored.

    403 if OutgoingCStoreInstanceFilter of a script is against it, which Orthanc 1.12.7 does not know.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps = self._deps
        modality = find_modality(deps, name)
        target = remote_of(deps, modality, None, None).target(deps)
        admits = admission(deps.filters, target, lambda: runtime.default_encoding(deps), correlation_of(req))
        with received(deps, req) as (data, opened), as_busy():
            sent = send_file(
                target, data, fallbacks_for(deps.scu, modality), deps.stopping, deps.codecs, opened, admits
            )
        send_json(req, resp, {"SOPClassUID": sent.sop_class, "SOPInstanceUID": sent.sop_instance})


def routes(deps: Deps) -> Routes:
    return {f"{ONE_MODALITY}/store": Store(deps), f"{ONE_MODALITY}/store-straight": StoreStraight(deps)}
