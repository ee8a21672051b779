"""UIDs that this server calls by name (PS3.6 Table A-1). Lists of them: `sop_classes`, `syntax`."""

from typing import Final
from uuid import uuid4

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"

VERIFICATION: Final = "1.2.840.10008.1.1"
MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
PATIENT_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"  # Push Model
STORAGE_COMMITMENT_INSTANCE: Final = (
    "1.2.840.10008.1.20.1.1"  # the well-known one, of which all requests and reports are
)

STORAGE: Final = "1.2.840.10008.5.1.4.1.1."  # how most storage classes begin
MR_IMAGE_STORAGE: Final = STORAGE + "4"
ENCAPSULATED_PDF: Final = STORAGE + "104.1"

TRANSFER_SYNTAX: Final = "1.2.840.10008.1.2."  # how all transfer syntaxes but the first begin
IMPLICIT_LE: Final = "1.2.840.10008.1.2"
EXPLICIT_LE: Final = TRANSFER_SYNTAX + "1"
ENCAPSULATED_UNCOMPRESSED: Final = TRANSFER_SYNTAX + "1.98"
DEFLATED_LE: Final = TRANSFER_SYNTAX + "1.99"
EXPLICIT_BE: Final = TRANSFER_SYNTAX + "2"
JPEG_FAMILY: Final = TRANSFER_SYNTAX + "4."  # JPEG, JPEG-LS, JPEG 2000, MPEG, HEVC, JPEG XL, by a number
VIDEO_SYNTAXES: Final = frozenset(
    f"{JPEG_FAMILY}{number}{ending}" for number in range(100, 109) for ending in ("", ".1")
)
GE_BIG_ENDIAN_PIXELS: Final = "1.2.840.113619.5.2"  # a private one: implicit VR little endian, but for Pixel Data
RLE_LOSSLESS: Final = TRANSFER_SYNTAX + "5"

# Those of this implementation
IMPLEMENTATION_CLASS_UID: Final = "2.25.247284133041986473116209083651820735193"
IMPLEMENTATION_VERSION_NAME: Final = "SINOGRAM"


def draw_uid() -> str:
    """Return a UID that nobody has, of a random UUID (PS3.5 §B.2)."""
    return f"2.25.{uuid4().int}"
