"""DIMSE command sets: group 0000, implicit VR little endian (PS3.7 §6.3, Annex E). Bytes in, values out."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from actors.wire.dicom.ending import Malformed

NO_DATASET = 0x0101  # CommandDataSetType: any other value announces a dataset
DATASET_FOLLOWS = 0x0001


class Field(IntEnum):
    """CommandField of a request; a response's has the highest bit set too."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF


RESPONSE = 0x8000  # added to a request's CommandField
NUMBER_BYTES = 2  # all numbers of the command sets we know are US, of one value


class Element(IntEnum):
    """Element numbers of group 0000."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_RESPONDED_TO = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008
    REMAINING_SUBOPERATIONS = 0x1020
    COMPLETED_SUBOPERATIONS = 0x1021
    FAILED_SUBOPERATIONS = 0x1022
    WARNING_SUBOPERATIONS = 0x1023
    MOVE_ORIGINATOR_AET = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


_UIDS = frozenset(
    {
        Element.AFFECTED_SOP_CLASS_UID,
        Element.REQUESTED_SOP_CLASS_UID,
        Element.AFFECTED_SOP_INSTANCE_UID,
        Element.REQUESTED_SOP_INSTANCE_UID,
    }
)
_HEADER = struct.Struct("<HHI")
_US = struct.Struct("<HHIH")


@dataclass(frozen=True, slots=True)
class Command:
    """A request or response as received."""

    field: int
    message_id: int  # of a C-CANCEL and of responses: of the request they are about
    has_dataset: bool
    elements: Mapping[int, bytes]

    def text(self, element: Element) -> str:
        """The value without padding; empty if absent."""
        return self.elements.get(element, b"").decode("latin-1").strip("\0 ")

    def number(self, element: Element, default: int = 0) -> int:
        """The value; the default if it is absent or empty."""
        value = self.elements.get(element)
        return int.from_bytes(value, "little") if value else default


def decode_command(data: bytes) -> Command:
    """Decode a whole command set. Raises Malformed."""
    elements: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if position + 8 > end:
            raise Malformed("an element's header is cut")
        group, element, length = _HEADER.unpack_from(data, position)
        position += 8
        if group or position + length > end:
            raise Malformed("an element of another group, or longer than the command set")
        value = data[position : position + length]
        if elements.setdefault(element, value) != value:
            raise Malformed("an element that is there twice, with two values")
        position += length
    field = _number(elements, Element.COMMAND_FIELD)
    dataset_type = _number(elements, Element.DATA_SET_TYPE)
    is_about_another = field & RESPONSE or field == Field.C_CANCEL
    message_id = _number(elements, Element.MESSAGE_ID_RESPONDED_TO if is_about_another else Element.MESSAGE_ID)
    return Command(field, message_id, dataset_type != NO_DATASET, elements)


def _number(elements: Mapping[int, bytes], element: Element) -> int:
    """Return a number that no command set lacks. Raises Malformed."""
    value = elements.get(element, b"")
    if len(value) != NUMBER_BYTES:
        raise Malformed("a command set without field, identifier or dataset type")
    return int.from_bytes(value, "little")


def encode_command(elements: Mapping[Element, int | str]) -> bytes:
    """Encode a command set with its group length: numbers as US, UIDs padded with a zero byte, other text with a space."""
    parts = []
    for element in sorted(elements):
        value = elements[element]
        if isinstance(value, int):
            parts.append(_US.pack(0, element, 2, value))
        else:
            raw = value.encode("latin-1", "replace")
            raw += (b"\0" if element in _UIDS else b" ") * (len(raw) & 1)
            parts.append(_HEADER.pack(0, element, len(raw)) + raw)
    body = b"".join(parts)
    return _HEADER.pack(0, Element.GROUP_LENGTH, 4) + len(body).to_bytes(4, "little") + body


def encode_response(
    request: Command, status: int, extra: Mapping[Element, int | str] | None = None, *, has_dataset: bool = False
) -> bytes:
    """Encode the response to a request; its SOP class and instance are repeated where it had them (PS3.7 §9.3)."""
    elements: dict[Element, int | str] = {
        Element.COMMAND_FIELD: request.field | RESPONSE,
        Element.MESSAGE_ID_RESPONDED_TO: request.message_id,
        Element.DATA_SET_TYPE: DATASET_FOLLOWS if has_dataset else NO_DATASET,
        Element.STATUS: status,
    }
    for element in (Element.AFFECTED_SOP_CLASS_UID, Element.AFFECTED_SOP_INSTANCE_UID):
        if element in request.elements:
            elements[element] = request.text(element)
    elements.update(extra or {})
    return encode_command(elements)
