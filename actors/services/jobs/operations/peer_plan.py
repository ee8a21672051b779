"""The plan of a job that sends instances to a peer, type `OrthancPeerStore`: plain values, one step per instance.

| key           | value                                                                                         |
|---------------|-----------------------------------------------------------------------------------------------|
| `instances`   | the identifiers of all instances in the order of sending, 20 bytes each, joined               |
| `peer`        | its symbolic name: address and secrets are those that it has when the job runs                |
| `shown`       | the peer as clients of `/jobs` see it, as it was when the job was made; without secrets       |
| `compress`    | whether files travel as gzip                                                                  |
| `transcode`   | the transfer syntax that files are made into; "": as they are stored                          |
| `parents`     | identifiers of the resources that were named, in Orthanc's form, each once, in order          |
| `permissive`  | whether errors of single instances are passed over                                            |
| `description` | `REST API`                                                                                    |
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actors.messages.job_types import PEER_STORE
from actors.services.jobs.operations.store_plan import InstanceList
from actors.wire.http.peer import Peer
from events.identifiers import ResourceId

JOB_TYPE: Final = PEER_STORE.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPlan:
    """The plan of one job."""

    peer: str
    shown: Any
    instances: Sequence[ResourceId]
    compress: bool = False
    transcode: str = ""
    parents: Sequence[str] = field(default=())
    permissive: bool = False
    description: str = "REST API"


def to_plan(plan: PeerPlan) -> dict[str, Any]:
    """Return the plan as the job keeps it."""
    values = {name: getattr(plan, name) for name in PeerPlan.__dataclass_fields__}
    return values | {"instances": b"".join(plan.instances), "parents": list(plan.parents)}


def from_plan(values: dict[str, Any]) -> PeerPlan:
    """Return the plan that a job keeps."""
    return PeerPlan(**values | {"instances": InstanceList(values["instances"])})


def show_peer(peer: Peer) -> Any:
    """Return a peer as Orthanc's jobs show it, in its short form where that says all; in place of secrets "" or null."""
    is_plain = not (peer.headers or peer.timeout_s or peer.certificate or peer.pkcs11 or peer.properties)
    if is_plain:
        return [peer.url, peer.username, ""] if peer.username else [peer.url]
    shown: dict[str, Any] = {
        "HttpHeaders": dict.fromkeys(sorted(peer.headers), ""),
        "Pkcs11": peer.pkcs11,
        "Timeout": peer.timeout_s,
        "Url": peer.url,
        **peer.properties,
    }
    if peer.username:
        shown["Username"] = peer.username
    if peer.certificate is not None:
        shown |= {"CertificateFile": str(peer.certificate), "CertificateKeyFile": None}
    return shown
