"""ZIP uploads: every member that is a DICOM file goes the way of an upload, the others are skipped as Orthanc does.

The archive lies in a temporary file (its directory stands at the end); members are inflated in chunks. Limits stop a ZIP bomb:
limits of the members, of the bytes of one and of all members, and of the sizes in the directory, which in a real archive
cannot exceed the archive itself. Work ends when the client has gone.
"""

import errno
import logging
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import SEEK_END
from typing import BinaryIO, Final, TypeVar

from api.rest.file_kinds import HEAD_BYTES, Kind, kind_of
from api.rest.serving.body import CHUNK_BYTES
from api.rest.serving.client_gone import ClientGone
from api.rest.serving.inflating import UNDER_WAY
from events.errors import InvalidDicom, MissingTag
from store.disk_errors import translated

logger = logging.getLogger("sinogram.http")
T = TypeVar("T")

# The three records a ZIP can start with: a member, an empty archive's end, a spanned archive's marker.
MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
MAGIC_BYTES = 4
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # what Orthanc reads
_ENCRYPTED = 0x1  # general purpose flag
# What zipfile raises over damaged archives; OSError is a seek to a place that cannot be.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, OSError)

MAXIMUM_MEMBERS: Final = 1_000_000  # of one archive; its directory is in memory, some 500 bytes a member


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """In bytes, once inflated; 0 = no limit."""

    member: int = 0  # MaximumFileSizeInArchiveMB; larger ones are skipped
    total: int = 0  # MaximumArchiveSizeMB; an archive of more is refused before anything is stored


@dataclass(frozen=True, slots=True)
class Skipped:
    """A member that has not been stored."""

    name: str
    kind: Kind  # "image" also where nobody could look into it
    reason: str


def store_members(
    file: BinaryIO,
    limits: ArchiveLimits,
    store: Callable[[Iterator[bytes]], T],
    is_client_gone: Callable[[], bool] = lambda: False,
    on_skipped: Callable[[Skipped], None] = lambda _: None,
) -> list[T]:
    """Store each DICOM file in a ZIP and return what `store` said, in the order of the archive.

    Skipped: folders, encrypted and damaged members, what is no DICOM file, members above the limit. But for folders, `on_skipped` is told.
    Raises InvalidDicom if the archive cannot be read at all, is more than the limits allow, or is compressed in a way Orthanc
    cannot read; ClientGone; what `store` raises for other reasons ends the whole.
    """
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGE as exc:
        _raise_if_disk(exc)
        raise InvalidDicom("Cannot open ZIP archive from memory buffer") from exc
    stored = []
    with archive:
        members = archive.infolist()
        _check_claims(members, file, limits)
        for member in members:
            if reason := _why_not_read(member, limits):
                on_skipped(Skipped(member.filename, "image", reason))
                continue
            # Names say nothing: one may be missing, or end with a slash like that of a folder.
            if member.file_size == 0:
                if member.filename and not member.filename.endswith("/"):
                    on_skipped(Skipped(member.filename, kind_of(member.filename, b""), "The file is empty"))
                continue
            head = bytearray()
            try:
                stored.append(store(_note(head, _inflate(archive, member, is_client_gone, limits.total))))
            except (InvalidDicom, MissingTag) as exc:
                logger.info("http.zip-member-skipped reason=%s", type(exc).__name__)
                reason = str(exc) or "An identifier that each instance must have is missing"
                on_skipped(Skipped(member.filename, kind_of(member.filename, bytes(head)), reason))
    return stored


def _why_not_read(member: zipfile.ZipInfo, limits: ArchiveLimits) -> str:
    """Return why a member is skipped unseen, empty if it is read. Raises InvalidDicom where Orthanc reads nothing of such an archive."""
    if member.file_size == 0:
        return ""
    if member.flag_bits & _ENCRYPTED:
        return "The file is encrypted"
    if member.compress_type == zipfile.ZIP_BZIP2:  # Orthanc skips these and refuses all else it cannot read
        return "The file is compressed with bzip2"
    if member.compress_type not in _METHODS:
        raise InvalidDicom("Invalid file or unsupported compression method (e.g. Deflate64)")
    if limits.member and member.file_size > limits.member:
        logger.warning("http.zip-member-too-large bytes=%d", member.file_size)
        return f"The file is larger than MaximumFileSizeInArchiveMB: {member.file_size} bytes"
    return ""


def _note(head: bytearray, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a member's bytes, and note how it begins."""
    for chunk in chunks:
        if not head:
            head += chunk[:HEAD_BYTES]
        yield chunk


def _check_claims(members: list[zipfile.ZipInfo], file: BinaryIO, limits: ArchiveLimits) -> None:
    """Refuse what the directory of the archive says to be a bomb. Raises InvalidDicom."""
    if len(members) > MAXIMUM_MEMBERS:
        raise InvalidDicom(f"The ZIP archive has more than {MAXIMUM_MEMBERS} members")
    if sum(member.compress_size for member in members) > file.seek(0, SEEK_END):
        raise InvalidDicom("The members of the ZIP archive overlap: together they are larger than the archive")
    total = sum(member.file_size for member in members)
    if limits.total and total > limits.total:
        raise InvalidDicom(f"The ZIP archive exceeds MaximumArchiveSizeMB once it is inflated: {total} bytes")


def _inflate(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, is_client_gone: Callable[[], bool], limit_of_all: int
) -> Iterator[bytes]:
    """Yield a member's bytes; zipfile stops at the size the directory states and checks the CRC.

    Raises InvalidDicom where the archive is damaged, ClientGone, Busy.
    """
    with UNDER_WAY.share(limit_of_all) as share:
        try:
            with archive.open(member) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    if is_client_gone():
                        raise ClientGone("The client has left while its archive was being stored")
                    share.take(len(chunk))
                    yield chunk
        except _DAMAGE as exc:
            _raise_if_disk(exc)
            raise InvalidDicom("A member of the archive is damaged") from exc


def _raise_if_disk(exc: Exception) -> None:
    """Raise errors of the disk that holds the archive as such, not as errors of the archive."""
    told = exc if isinstance(exc, OSError) else exc.__context__  # zipfile says BadZipFile after any error at the end
    if isinstance(told, OSError) and told.errno not in {None, errno.EINVAL}:
        raise translated(told, "the temporary directory") from exc
