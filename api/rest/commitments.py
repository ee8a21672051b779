"""`/modalities/{name}/storage-commitment` and `/storage-commitment/{id}`: others vouch for instances. Source: observed on Orthanc 1.12.7.

Unlike there, `remove` deletes an instance only if this server has asked for it in that transaction, and if it was the modality
asked that has vouched: 1.12.7 deletes whatever any modality names in any report.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import falcon

from actors.services.remote.asking import as_busy
from actors.services.remote.commitment_transactions import (
    CommitmentTransactions,
    list_references,
)
from actors.wire.errors import RemoteFailed
from api.errors import BadField, BadSequence, InexistentItem, OutOfRange, UnknownRoute
from api.rest import fields
from api.rest.deps import Deps, Routes
from api.rest.modalities import ONE_MODALITY, find_modality
from api.rest.remote_request import remote_of, requested_timeout
from api.rest.sent_resources import find_root, instances_of
from api.rest.serving.auth import correlation_of, username_of
from api.rest.serving.replies import send_json
from events.errors import NotFound
from events.identifiers import Level, ResourceId
from store.dicom.commitment import Reference
from store.dicom.uids import draw_uid
from store.projections.commitments import Transaction, read_transaction
from store.tables import LookupKind
from store.views.lookup import find_refs

_NOTHING_ASKED: Final = (
    'Empty storage commitment request, one of these fields is mandatory: "Resources" or "DicomInstances"'
)
# Failure reasons in Orthanc's words.
_REASONS: Final[Mapping[int, str]] = {
    0x0000: "Success",
    0x0110: "A general failure in processing the operation was encountered",
    0x0112: "One or more of the elements in the Referenced SOP Instance Sequence was not available",
    0x0119: "The SOP Class of an element in the Referenced SOP Instance Sequence did not correspond to the SOP class "
    "registered for this SOP Instance at the SCP",
    0x0122: "Storage Commitment has been requested for a SOP Instance with a SOP Class that is not supported by the SCP",
    0x0131: "The Transaction UID of the Storage Commitment Request is already in use",
    0x0213: "The SCP does not currently have enough resources to store the requested SOP Instance(s)",
}


class RequestCommitment:
    """`POST`: answered once the modality has taken the request; its report comes later."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._transactions = CommitmentTransactions(deps.index, deps.scu.commitments_remembered)

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps, correlation = self._deps, correlation_of(req)
        body = fields.read_json(req)
        if not isinstance(body, dict):
            raise BadField("Must provide a JSON object with a list of resources")
        modality = find_modality(deps, name)
        references = _read_references(deps, body)
        target = remote_of(deps, modality, None, requested_timeout(body)).target(deps)
        transaction = draw_uid()
        try:
            with as_busy():
                self._transactions.ask(target, transaction, references, deps.stopping, correlation)
        except RemoteFailed:
            self._transactions.forget(transaction, correlation)
            raise
        send_json(req, resp, {"ID": transaction, "Path": f"/storage-commitment/{transaction}"})


def _read_references(deps: Deps, body: Mapping[str, Any]) -> list[Reference]:
    if not body.keys() & {"Resources", "DicomInstances"}:
        raise BadField(_NOTHING_ASKED)
    names, instances = body.get("Resources", []), body.get("DicomInstances", [])
    if not isinstance(names, list):
        raise BadField('The "Resources" field must provide an array of Orthanc resources')
    if not isinstance(instances, list):
        raise BadField('The "DicomInstances" field must provide an array of DICOM instances')
    found = [instance for name in names for instance in _instances_of(deps, name)]
    try:
        return [*list_references(deps.views, found), *map(_read_instance, instances)]
    except NotFound as exc:
        raise UnknownRoute from exc


def _instances_of(deps: Deps, name: object) -> list[ResourceId]:
    if not isinstance(name, str):
        raise BadField(f'The "Resources" field must provide an array of strings, found: {json.dumps(name)}\n')
    root = find_root(deps, name)
    return instances_of(deps, root.level, root.ref)


def _read_instance(entry: object) -> Reference:
    match entry:
        case [str(sop_class), str(sop_instance)]:
            pass
        case {"SOPClassUID": str(sop_class), "SOPInstanceUID": str(sop_instance)}:
            pass
        case list():
            raise BadField("An instance entry must provide an array with 2 strings: SOP Class UID and SOP Instance UID")
        case dict():
            raise BadField(
                'An instance entry must provide an object with 2 string fiels: "SOPClassUID" and "SOPInstanceUID'
            )
        case _:
            raise BadField(
                f"JSON array or object is expected to specify one instance to be queried, found: {json.dumps(entry)}\n"
            )
    if not sop_class or not sop_instance:
        raise OutOfRange(f'The SOP class/instance UIDs cannot be empty, found: "{sop_class}" / "{sop_instance}"')
    return Reference(sop_class, sop_instance)


class OneReport:
    """`GET`: how a transaction stands."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, transaction: str) -> None:
        send_json(req, resp, _render(_find_transaction(self._deps, transaction)))


def _find_transaction(deps: Deps, uid: str) -> Transaction:
    with deps.views.snapshot() as snapshot:
        found = read_transaction(snapshot.row, uid)
    if found is None:
        raise InexistentItem(f"No storage commitment transaction with UID: {uid}")
    return found


def _render(transaction: Transaction) -> dict[str, Any]:
    report = transaction.report
    if report is None:
        return {"RemoteAET": transaction.asked_aet, "Status": "Pending"}
    return {
        "Failures": [
            {
                "Description": _REASONS.get(reason, "Unknown failure reason"),
                "FailureReason": reason,
                "SOPClassUID": sop_class,
                "SOPInstanceUID": sop_instance,
            }
            for sop_class, sop_instance, reason in report.failed
        ],
        "RemoteAET": report.remote_aet,
        "Status": "Failure" if report.failed else "Success",
        "Success": [{"SOPClassUID": one, "SOPInstanceUID": other} for one, other in report.succeeded],
    }


class RemoveCommitted:
    """`POST …/remove`: what a modality keeps need not be kept here. Only after a report without failures."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, transaction: str) -> None:
        deps = self._deps
        known = _find_transaction(deps, transaction)
        if known.report is None or known.report.failed:
            raise BadSequence(
                f"Cannot remove DICOM instances after failure in storage commitment transaction: {transaction}"
            )
        if known.report.remote_aet.upper() != known.asked_aet.upper():
            raise BadSequence(
                f"Cannot remove DICOM instances: {known.report.remote_aet} has reported, and was not asked by this server"
            )
        asked = {tuple(reference) for reference in known.references}
        for sop_class, sop_instance in known.report.succeeded:
            if (sop_class, sop_instance) in asked:
                _delete(deps, req, sop_class, sop_instance)
        send_json(req, resp, {})


def _delete(deps: Deps, req: falcon.Request, sop_class: str, sop_instance: str) -> None:
    """Delete the instances of a UID; one that is of another class is not what the modality has."""
    with deps.views.snapshot() as snapshot:
        found = [
            snapshot.get_ref(Level.INSTANCE, ref)
            for ref in find_refs(snapshot, LookupKind.SOP_INSTANCE_UID, sop_instance)
        ]
    for record in found:
        if getattr(record, "sop_class", "") != sop_class:
            continue
        try:
            deps.index.delete(
                Level.INSTANCE,
                record.id,
                remote_ip=req.remote_addr or "",
                username=username_of(req),
                correlation=correlation_of(req),
            )
        except NotFound:  # somebody else was faster
            continue


def routes(deps: Deps) -> Routes:
    found: Routes = {
        f"{ONE_MODALITY}/storage-commitment": RequestCommitment(deps),
        "/storage-commitment/{transaction}": OneReport(deps),
    }
    if not deps.settings.read_only:
        found["/storage-commitment/{transaction}/remove"] = RemoveCommitted(deps)
    return found
