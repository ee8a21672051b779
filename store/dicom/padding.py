"""Bytes that senders put around a dataset on the network, where only its elements belong (PS3.5 §7.1, PS3.8 §9.3.1).

Before it: file meta information, with or without its preamble, and elements of command sets. These are passed over: the negotiated
syntax decides. Behind it: bytes that can only be padding. As with Orthanc 1.12.7, that is everything too short
for an element's header. Beyond Orthanc's tolerance it is a fill of one byte of any length, delimiters of nothing, and a Data Set
Trailing Padding that is cut short. Anything else is refused: it may be the rest of an element that got lost.
"""

from typing import Final

from events.errors import InvalidDicom
from store.dicom.elements import LONG_VRS, SHORT_VRS, Buffer, Element, read_element, read_elements
from store.dicom.limits import identifier_tally, passing_tally
from store.dicom.mapped import LET_GO_BYTES, let_go
from store.dicom.syntax import Syntax
from store.dicom.tags import DATA_SET_TRAILING_PADDING, ITEM_END, SEQUENCE_END

# A fill of zeros or blanks can be read as elements; a reader that finds such a tag has to look closer.
FILLERS: Final = (0x00000000, 0x20202020)

_FILLS: Final = b"\0 \xff"
_HEADER_BYTES: Final = 8  # of the shortest element
_CHUNK_BYTES: Final = 1 << 16
_PREAMBLE_BYTES: Final = 128
_FOREIGN_GROUPS: Final = (0, 2)
_FILE_META: Final = Syntax()
_COMMAND: Final = Syntax(explicit=False)


def dataset_span(data: Buffer, start: int, syntax: Syntax) -> tuple[int, int]:
    """Where the elements begin and end in a dataset that lies from `start` to the end of a buffer. Raises: InvalidDicom."""
    first = position = _skip_foreign(data, start, syntax)
    fill = _find_fill(data, first)
    tally = passing_tally()
    while position < len(data) and not fill <= position:
        try:
            element = read_element(data, position, syntax, tally)
        except InvalidDicom:
            if _is_padding(data, position, fill, syntax):
                break
            raise
        if element.tag == ITEM_END:
            if not _is_padding(data, position, fill, syntax):
                raise InvalidDicom("the dataset goes on behind an item delimiter that belongs to no item")
            break
        position = element.end
    return first, position


def read_received(data: Buffer, syntax: Syntax) -> tuple[Element, ...]:
    """The elements of an identifier that is all of a buffer, without what senders put around it. Raises: InvalidDicom."""
    try:
        elements = read_elements(data, 0, syntax, tally=identifier_tally())
    except InvalidDicom:
        pass  # it may be padded
    else:
        if not any(element.tag in FILLERS for element in elements):
            return elements
    first, end = dataset_span(data, 0, syntax)
    return read_elements(data, first, syntax, end, identifier_tally())


def begins_foreign(data: Buffer, start: int) -> bool:
    """Whether a dataset begins with what belongs into a file or a command set, in any byte order."""
    return bytes(data[start : start + 2]) in {b"\0\0", b"\2\0", b"\0\2"}


def _skip_foreign(data: Buffer, start: int, syntax: Syntax) -> int:
    position = start
    after_preamble = start + _PREAMBLE_BYTES + 4
    if bytes(data[after_preamble - 4 : after_preamble + 2]) == b"DICM\2\0":
        position = after_preamble
    while position + _HEADER_BYTES <= len(data):
        native = _group(data, position, little=syntax.little)
        if _group(data, position, little=True) in _FOREIGN_GROUPS and syntax.little:
            # A file's head is in explicit VR and a command in implicit VR, whatever the dataset's own syntax.
            code = bytes(data[position + 4 : position + 6])
            reading = _FILE_META if code in SHORT_VRS or code in LONG_VRS else _COMMAND
        elif native in _FOREIGN_GROUPS:
            reading = syntax
        elif bytes(data[position : position + 2]) == b"\2\0":  # a file's head before a dataset in big endian
            reading = _FILE_META
        else:
            break
        position = read_element(data, position, reading).end
    return position


def _group(data: Buffer, position: int, *, little: bool) -> int:
    return int.from_bytes(data[position : position + 2], "little" if little else "big")


def _find_fill(data: Buffer, start: int) -> int:
    """Where the run of one fill byte at the end of a buffer begins; the buffer's end if there is none."""
    end = held = len(data)
    fill = bytes(data[end - 1 : end])
    if end <= start or fill not in _FILLS:
        return end
    while end > start:
        chunk = bytes(data[max(start, end - _CHUNK_BYTES) : end])
        rest = chunk.rstrip(fill)
        end -= len(chunk) - len(rest)
        if rest:
            break
        if held - end >= LET_GO_BYTES:
            let_go(memoryview(data))
            held = end
    return end


def _is_padding(data: Buffer, position: int, fill: int, syntax: Syntax) -> bool:
    """Whether bytes that begin no element are padding."""
    if _tag(data, position, syntax) == DATA_SET_TRAILING_PADDING:
        return True
    while _tag(data, position, syntax) in {ITEM_END, SEQUENCE_END} and not any(data[position + 4 : position + 8]):
        position += _HEADER_BYTES
    return position >= fill or len(data) - position < _HEADER_BYTES


def _tag(data: Buffer, position: int, syntax: Syntax) -> int:
    if len(data) - position < _HEADER_BYTES:
        return -1
    return _group(data, position, little=syntax.little) << 16 | _group(data, position + 2, little=syntax.little)
