"""Errors, split by who must act. Status numbers are given only in `api/errors.py` and `api/dicom/status.py`."""


class SinogramError(Exception):
    """Anything this server raises on purpose; `str()` is safe to show to the caller: no secrets, no patient data."""


class InvalidRequest(SinogramError):
    """The caller's request cannot be understood."""


class InvalidJson(InvalidRequest):
    """The caller's body is not the JSON that was asked for."""


class InvalidDicom(InvalidRequest):
    """The bytes are not a DICOM file, or end before their structure does."""


class MissingTag(InvalidRequest):
    """A DICOM file lacks one of the identifiers every instance must have."""


class NotFound(SinogramError):
    """A resource that was named does not exist."""


class Unauthorized(SinogramError):
    """The caller must say who it is."""


class Forbidden(SinogramError):
    """The caller is known and may not do this."""


class RevisionConflict(SinogramError):
    """The caller saw an older revision and must read again."""


class Busy(SinogramError):
    """The server cannot do this now (starting, stopping, restarting a part); the caller retries."""


class FolderRevoked(Busy):
    """The blob of this instance lies in a folder that was taken from its writer: it is not stored, and never will be."""


class ReadOnlyArchive(SinogramError):
    """The server was started with ReadOnly: nothing that the archive holds may change."""

    def __init__(
        self, message: str = "the server has been started with ReadOnly: the archive cannot be changed"
    ) -> None:
        super().__init__(message)


class StorageFull(SinogramError):
    """No room for another instance; the operator must act."""


class LimitReached(StorageFull):
    """A limit that the operator has set lets nothing more in: MaximumPatientCount or MaximumStorageSize."""


class StorageFailed(SinogramError):
    """The disk refuses or fails (I/O error, read-only, no descriptor left, no permission); the operator must act."""


class DamagedFile(SinogramError):
    """The file of an instance is not what its event says, or is gone; the same instance sent again heals it. Or that of an attachment."""

    def __init__(self, *message: object, kind: str = "") -> None:
        super().__init__(*message)
        self.kind = kind  # of store.blobs.damage.Kind


class PeerFailed(SinogramError):
    """A remote server or modality failed or refused; the operator must look there."""


class CorruptLog(SinogramError):
    """The log contradicts itself; nothing more is written."""


class CorruptIndex(CorruptLog):
    """A table of the index holds what cannot be read; the operator builds a new one from the log."""


class BadConfiguration(SinogramError):
    """A configuration file, option or value is wrong; the server does not start."""


class BadMedium(SinogramError):
    """The disk or file system cannot hold the archive safely; the server does not start."""
