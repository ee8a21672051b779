"""What is said of instances that come in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command
from events.identifiers import BlobId, ResourceId
from store.records import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInstance(Command):
    """Add a DICOM file that is durable as `blob`. Replies Stored. Idempotent: the same blob may be sent again."""

    ACTOR: ClassVar[str] = "ingest"
    patient: ResourceId
    study: ResourceId
    series: ResourceId
    instance: ResourceId
    tags: Mapping[int, Mapping[int, str]]  # level -> main DICOM tags
    blob: BlobId
    size_bytes: int
    md5: bytes
    transfer_syntax: str
    sop_class: str
    pixel_data_offset: int | None
    pixel_data_vr: str
    index_in_series: int | None
    expected_instances: int | None
    origin: str
    remote_ip: str
    remote_aet: str
    called_aet: str
    username: str
    correlation: bytes
    heals: bytes = b""  # the damaged blob of this instance that this one, durable already, takes the place of


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDuplicate(Command):
    """Record that an instance which is there was sent again. Replies whether it is there."""

    ACTOR: ClassVar[str] = "ingest"
    id: ResourceId
    origin: str
    remote_ip: str
    remote_aet: str
    called_aet: str
    username: str
    correlation: bytes


def origin_fields(origin: Origin) -> dict[str, str]:
    """Return the fields of a command that an origin gives."""
    return {
        "origin": origin.kind,
        "remote_ip": origin.remote_ip,
        "remote_aet": origin.remote_aet,
        "called_aet": origin.called_aet,
        "username": origin.username,
    }
