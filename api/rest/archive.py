"""ZIP uploads: every member that is a DICOM file goes the way of an upload, the others are skipped as Orthanc does.

The archive lies in a temporary file (its directory stands at the end); members are inflated in chunks.
"""

import errno
import logging
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from api.rest.body import CHUNK_BYTES
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


def store_members(file: BinaryIO, limit: int, store: Callable[[Iterator[bytes]], T]) -> list[T]:
    """Store each DICOM file in a ZIP and return what `store` said, in the order of the archive.

    Skipped: folders, encrypted and damaged members, what is no DICOM file, members above `limit` bytes (0 = none) once
    they are inflated. Raises InvalidDicom if the archive cannot be read at all or is compressed in a way Orthanc
    cannot read; what `store` raises for other reasons ends the whole.
    """
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGE as exc:
        _raise_if_disk(exc)
        raise InvalidDicom("Cannot open ZIP archive from memory buffer") from exc
    stored = []
    with archive:
        for member in archive.infolist():
            if member.is_dir() or member.file_size == 0 or member.flag_bits & _ENCRYPTED:
                continue
            if member.compress_type == zipfile.ZIP_BZIP2:  # Orthanc skips these and refuses all else it cannot read
                continue
            if member.compress_type not in _METHODS:
                raise InvalidDicom("Invalid file or unsupported compression method (e.g. Deflate64)")
            if limit and member.file_size > limit:
                logger.warning("http.zip-member-too-large bytes=%d", member.file_size)
                continue
            try:
                stored.append(store(_inflate(archive, member)))
            except (InvalidDicom, MissingTag) as exc:
                logger.info("http.zip-member-skipped reason=%s", type(exc).__name__)
    return stored


def _inflate(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member's bytes; zipfile stops at the size the directory states and checks the CRC.

    Raises InvalidDicom where the archive is damaged.
    """
    try:
        with archive.open(member) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except _DAMAGE as exc:
        _raise_if_disk(exc)
        raise InvalidDicom("A member of the archive is damaged") from exc


def _raise_if_disk(exc: Exception) -> None:
    """Raise what is wrong with the disk that holds the archive, and not with the archive."""
    told = exc if isinstance(exc, OSError) else exc.__context__  # zipfile says BadZipFile after any error at the end
    if isinstance(told, OSError) and told.errno not in {None, errno.EINVAL}:
        raise translated(told, "the temporary directory") from exc
