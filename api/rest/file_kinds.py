"""What a file that could not be stored looks like: the page tells of images that may be missing otherwise than of what only lies beside them.

The page does the same with the files that it sends (`api/ui/source/src/upload/kinds.ts`).
"""

import re
from typing import Final, Literal

Kind = Literal["image", "directory", "other"]

HEAD_BYTES: Final = 1 << 10  # group 2 of a DICOMDIR names its class in the first 400
_DIRECTORY: Final = b"1.2.840.10008.1.3.10\0"  # Media Storage Directory Storage (PS3.4 §B.5)
_STARTS: Final = (b"\2\0", b"\x08\0")  # a dataset without preamble: group 2 or 8, little endian
_NAMED: Final = re.compile(r"\.(dcm|dicom|dic|ima)\Z", re.IGNORECASE)


def kind_of(name: str, head: bytes) -> Kind:
    """Tell by the name and the first `HEAD_BYTES`; a file without extension that is empty or holds zeros alone may have been an image."""
    base = re.split(r"[/\\]", name)[-1]
    if base.startswith("._"):  # what macOS puts beside each file
        return "other"
    if head[128:132] == b"DICM" or (head[:2] in _STARTS and len(head) >= 8 and head[3] == 0):
        return "directory" if _DIRECTORY in head else "image"
    if _NAMED.search(base) or ("." not in base and not head.strip(b"\0")):
        return "image"
    return "other"
