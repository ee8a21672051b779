"""What ingest needs of the configuration; apart from it, so that who only passes it on loads no DICOM."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSettings:
    """Options of the store path."""

    default_encoding: str = "Latin1"  # DefaultEncoding
    sync: bool = True  # SyncStorageArea
    hash: bool = True  # StoreMD5ForAttachments
    read_only: bool = False  # ReadOnly
