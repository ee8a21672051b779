"""What PS3.6 and PS3.4 call a UID, by its keyword: `MRImageStorage`. From the tables of pydicom and pynetdicom."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from store.dicom.standard_tables import load_table, read_constants

UNNAMED: Final = "unnamed"
_LACKING: Final = {
    "1.2.840.10008.1.2.4.110": "JPEGXLLossless",
    "1.2.840.10008.1.2.4.111": "JPEGXLJPEGRecompression",
    "1.2.840.10008.1.2.4.112": "JPEGXL",
    "1.2.840.10008.1.2.8.1": "DeflatedImageFrameCompression",
}


def uid_name(uid: str) -> str:
    """Return the keyword of a UID, `UNNAMED` for one that has none, such as a private one."""
    return _names().get(uid, UNNAMED)


@cache
def _names() -> Mapping[str, str]:
    tables = (table for name, table in read_constants("sop_class").items() if name.endswith("_CLASSES"))
    newer = {uid: keyword for table in tables for keyword, uid in table.items()}
    return _LACKING | newer | {uid: entry[4] for uid, entry in load_table("_uid_dict").UID_dictionary.items()}
