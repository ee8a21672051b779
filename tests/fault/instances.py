"""DICOM files made from a few numbers, byte by byte, so that what a server returns can be compared with what was sent.

Nothing of the server's own code has a part in it. Explicit VR little endian, MR images with noise for pixels.
"""

import hashlib
import itertools
import random
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
_LONG = {b"OB", b"OW", b"UN", b"SQ", b"UT"}
_ZEROS = bytes(1 << 20)


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += (b"\0" if vr in {b"UI", b"OB"} else b" ") * (len(value) % 2)
    if vr in _LONG:
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


@dataclass(frozen=True, slots=True)
class Instance:
    """A file to come: the same bytes whenever it is asked."""

    number: int  # unique in an archive
    patient: str
    study: int
    series: int
    pixel_bytes: int  # even

    @property
    def study_uid(self) -> str:
        return f"2.25.1{self.study:09d}"

    @property
    def series_uid(self) -> str:
        return f"2.25.2{self.series:09d}"

    @property
    def sop_uid(self) -> str:
        return f"2.25.3{self.number:012d}"

    @property
    def id(self) -> str:
        """Orthanc's identifier of the instance: SHA-1 over its chain of identifiers."""
        return orthanc_id(self.patient, self.study_uid, self.series_uid, self.sop_uid)

    def head(self) -> bytes:
        """The dataset up to the pixels' value."""
        return b"".join(
            (
                element(0x0008, 0x0016, b"UI", MR.encode()),
                element(0x0008, 0x0018, b"UI", self.sop_uid.encode()),
                element(0x0008, 0x0060, b"CS", b"MR"),
                element(0x0010, 0x0010, b"PN", f"Fault^{self.patient}".encode()),
                element(0x0010, 0x0020, b"LO", self.patient.encode()),
                element(0x0020, 0x000D, b"UI", self.study_uid.encode()),
                element(0x0020, 0x000E, b"UI", self.series_uid.encode()),
                element(0x0020, 0x0013, b"IS", str(self.number).encode()),
                struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, self.pixel_bytes),
            )
        )

    def dataset(self) -> bytes:
        return self.head() + random.Random(self.number).randbytes(self.pixel_bytes)

    def meta(self) -> bytes:
        """Preamble and file meta information."""
        elements = b"".join(
            (
                element(0x0002, 0x0001, b"OB", b"\0\1"),
                element(0x0002, 0x0002, b"UI", MR.encode()),
                element(0x0002, 0x0003, b"UI", self.sop_uid.encode()),
                element(0x0002, 0x0010, b"UI", EXPLICIT.encode()),
                element(0x0002, 0x0012, b"UI", b"2.25.7305"),
            )
        )
        return bytes(128) + b"DICM" + element(0x0002, 0x0000, b"UL", struct.pack("<I", len(elements))) + elements

    def file(self) -> bytes:
        return self.meta() + self.dataset()

    def black_dataset(self) -> Iterator[bytes]:
        """The dataset with zeros for pixels, piece by piece: for instances that fit no memory."""
        yield self.head()
        for left in range(self.pixel_bytes, 0, -len(_ZEROS)):
            yield _ZEROS[: min(left, len(_ZEROS))]


def orthanc_id(*chain: str) -> str:
    return hashlib.sha1("|".join(chain).encode()).digest().hex("-", -4)


def dataset_of(file: bytes) -> bytes:
    """Return what follows the file meta information."""
    assert file[128:136] == b"DICM\2\0\0\0", "no file meta information"
    return file[144 + int.from_bytes(file[140:144], "little") :]


class Supply:
    """New instances for many threads: most of them small, some of 170 kB, a few of 3 MB."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def take(self, patient: str) -> Instance:
        """Return the next instance, in one of six series of two studies of a patient."""
        with self._lock:
            number = next(self._numbers)
            size = self._random.choices((200, 170_000, 3_000_000), (88, 11, 1))[0]
        serial = int.from_bytes(hashlib.sha1(patient.encode()).digest()[:3], "big") * 10
        series = serial + number % 6
        return Instance(number, patient, serial + number % 2, series, size)
