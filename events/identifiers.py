"""Identifiers and the few enumerations every layer shares.

A resource has two names. Outside it is Orthanc's identifier: the SHA-1 of its chain of DICOM identifiers, kept as
20 bytes and shown as five groups of eight hexadecimal digits. Inside it is a `Ref`: the sequence of the event that
created it, which orders resources by creation, is never reused and says nothing about the patient.
"""

import hashlib
import re
import secrets
import uuid
from enum import IntEnum
from typing import NewType

Seq = NewType("Seq", int)  # position in the log; the first event is 1
Ref = NewType("Ref", int)  # a resource: the Seq of the event that created it
ResourceId = NewType("ResourceId", bytes)  # 20 bytes, SHA-1 (identifying: it can be guessed from a PatientID)
BlobId = NewType("BlobId", bytes)  # 16 bytes, see `store.blobs`
Surrogate = NewType("Surrogate", bytes)  # 8 random bytes: the aggregate of a patient or a job in the log

CORRELATION_BYTES = 8

_RESOURCE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}\Z")


class Level(IntEnum):
    """A level of the patient–study–series–instance hierarchy, numbered as Orthanc numbers its resource types."""

    PATIENT = 1
    STUDY = 2
    SERIES = 3
    INSTANCE = 4


LEVELS = {level.value: level for level in Level}  # a look-up takes a fifth of the time of a call of Level


def parse_resource_id(text: str) -> ResourceId | None:
    """Return the 20 bytes of an Orthanc identifier, or None if `text` is not one (case-sensitive, as in Orthanc)."""
    return ResourceId(bytes.fromhex(text.replace("-", ""))) if _RESOURCE_ID.match(text) else None


def format_resource_id(resource: ResourceId) -> str:
    """Show an identifier as Orthanc does: five groups of eight hexadecimal digits."""
    return resource.hex("-", -4)


def format_blob_id(blob: BlobId) -> str:
    """Show a blob's identifier in the form of a UUID (`FileUuid` in Orthanc's JSON)."""
    return str(uuid.UUID(bytes=blob))


def hash_resource_id(*chain: str | bytes) -> ResourceId:
    """Hash PatientID [, StudyInstanceUID [, SeriesInstanceUID [, SOPInstanceUID]]] as Orthanc does, joined with `|`."""
    raw = (part.encode() if isinstance(part, str) else part for part in chain)
    return ResourceId(hashlib.sha1(b"|".join(raw), usedforsecurity=False).digest())


def new_correlation() -> bytes:
    """Return random bytes that mark every event of one request."""
    return secrets.token_bytes(CORRELATION_BYTES)
