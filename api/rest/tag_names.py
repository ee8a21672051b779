"""DICOM tags as the REST API writes them: `0010,0010`, `0010-0010`, `00100010` or `PatientName`."""

from functools import lru_cache

from api.errors import UnknownTag
from store.dicom import dictionary


@lru_cache(maxsize=4096)
def tag_name(tag: int) -> str:
    """Return the name of a tag in DCMTK's dictionary, as Orthanc shows it."""
    return dictionary.tag_name(tag)


@lru_cache(maxsize=4096)
def tag_key(tag: int) -> str:
    """Return a tag in hexadecimal, as in `?short` answers."""
    return dictionary.format_tag(tag)


def parse_tag(text: str) -> int:
    """Return the tag (0xGGGGEEEE) written in any of the four ways. Raises UnknownTag."""
    tag = dictionary.parse_tag(text)
    if tag is None:
        raise UnknownTag(text)
    return tag
