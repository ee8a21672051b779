"""Which transfer syntaxes can be made from which, and why a file cannot be had in one."""

from typing import Final, NamedTuple

from events.errors import InvalidDicom
from store.dicom.pixels.decodable import DECODABLE
from store.dicom.pixels.encodable import ENCODABLE
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

UNCOMPRESSED: Final = (EXPLICIT_LE, IMPLICIT_LE)  # in the order of preference
READABLE: Final = frozenset({*UNCOMPRESSED, EXPLICIT_BE, DEFLATED_LE})  # without a codec
MAKEABLE: Final = READABLE | ENCODABLE


class CannotTranscode(InvalidDicom):
    """A file cannot be had in the transfer syntax that was asked for."""


class Target(NamedTuple):
    """What is asked for."""

    transfer_syntax: str
    quality: int = 90  # 1 to 100, of what is compressed with loss


def can_transcode(source: str, target: str) -> bool:
    """Tell whether files of one transfer syntax can be made into another; a single file may still fail."""
    return target in MAKEABLE and (source in READABLE or source in DECODABLE)


def clamp_quality(number: int) -> int:
    """The quality that a number means: libjpeg, and so Orthanc, takes the nearest one that there is."""
    return min(max(number, 1), 100)
