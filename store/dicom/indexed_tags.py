"""The main DICOM tags Orthanc indexes by default at each level (`MainDicomTags` of `/system`, Orthanc 1.12.7)."""

from typing import Final

from events.identifiers import Level
from store.dicom.dictionary import parse_tag, tag_name

__all__ = ["MAIN_DICOM_TAGS", "parse_tag", "tag_name"]

MAIN_DICOM_TAGS: Final[dict[Level, tuple[int, ...]]] = {
    Level.PATIENT: (0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00101000),
    Level.STUDY: (
        0x00080020,
        0x00080030,
        0x00080050,
        0x00080080,
        0x00080090,
        0x00080201,
        0x00081030,
        0x0020000D,
        0x00200010,
        0x00321032,
        0x00321060,
    ),
    Level.SERIES: (
        0x00080021,
        0x00080031,
        0x00080060,
        0x00080070,
        0x00080201,
        0x00081010,
        0x0008103E,
        0x00081070,
        0x00180010,
        0x00180015,
        0x00180024,
        0x00181030,
        0x00181090,
        0x00181400,
        0x0020000E,
        0x00200011,
        0x00200037,
        0x00200105,
        0x00201002,
        0x00400244,
        0x00400245,
        0x00400254,
        0x00400275,
        0x00540081,
        0x00540101,
        0x00541000,
    ),
    Level.INSTANCE: (
        0x00080012,
        0x00080013,
        0x00080018,
        0x00200012,
        0x00200013,
        0x00200032,
        0x00200037,
        0x00200100,
        0x00204000,
        0x00280008,
        0x00541330,
    ),
}
