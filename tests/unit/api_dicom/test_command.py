"""Command sets: round trip, pynetdicom's bytes, damage."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from actors.wire.dicom.command import Command, Element, Field, decode_command, encode_command, encode_response
from actors.wire.dicom.ending import Malformed

CT = "1.2.840.10008.5.1.4.1.1.2"


def pynetdicom_store_request() -> bytes:
    primitive = C_STORE()
    primitive.MessageID = 77
    primitive.AffectedSOPClassUID = CT
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Priority = 2
    primitive.MoveOriginatorApplicationEntityTitle = "MOVER"
    primitive.MoveOriginatorMessageID = 5
    primitive.DataSet = BytesIO(b"\0\0")
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    first = next(iter(message.encode_msg(1, 16384)))
    return bytes(first.presentation_data_value_list[0][1][1:])


def test_a_store_request_is_decoded_as_pynetdicom_encoded_it() -> None:
    command = decode_command(pynetdicom_store_request())
    assert command.field == Field.C_STORE
    assert command.message_id == 77
    assert command.has_dataset
    assert command.text(Element.AFFECTED_SOP_CLASS_UID) == CT
    assert command.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"
    assert command.text(Element.MOVE_ORIGINATOR_AET) == "MOVER"
    assert command.number(Element.PRIORITY) == 2
    assert command.number(Element.STATUS, default=9) == 9
    assert not command.text(Element.ERROR_COMMENT)


def test_a_response_repeats_what_the_request_named() -> None:
    request = decode_command(pynetdicom_store_request())
    response = decode_command(encode_response(request, 0xA700, {Element.ERROR_COMMENT: "full"}))
    assert response.field == 0x8001
    assert response.message_id == 77
    assert not response.has_dataset
    assert response.number(Element.STATUS) == 0xA700
    assert response.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"
    assert response.text(Element.ERROR_COMMENT) == "full"


def test_the_group_length_counts_what_follows_it() -> None:
    encoded = encode_command({Element.COMMAND_FIELD: 0x8030, Element.AFFECTED_SOP_CLASS_UID: "1.2.3"})
    assert int.from_bytes(encoded[8:12], "little") == len(encoded) - 12
    assert len(encoded) % 2 == 0


def test_a_cancel_is_about_another_message() -> None:
    cancel = {Element.COMMAND_FIELD: 0x0FFF, Element.MESSAGE_ID_RESPONDED_TO: 3, Element.DATA_SET_TYPE: 0x0101}
    assert decode_command(encode_command(cancel)).message_id == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage!garbage!",
        b"\0\0\0\x01\xff\xff\0\0\x01\0",
        b"\x08\0\0\x01\2\0\0\0\x01\0",
        encode_command({Element.COMMAND_FIELD: 1, Element.MESSAGE_ID: 1}),
        encode_command({Element.COMMAND_FIELD: 1, Element.DATA_SET_TYPE: 1}),
        encode_command({Element.MESSAGE_ID: 1, Element.DATA_SET_TYPE: 1}),
        pynetdicom_store_request()[:-1],
    ],
)
def test_a_broken_command_set_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_command(data)


NUMBERS = sorted(
    {Element.MESSAGE_ID, Element.PRIORITY, Element.STATUS, Element.MOVE_ORIGINATOR_MESSAGE_ID, Element.ACTION_TYPE_ID}
)
TEXTS = sorted({Element.AFFECTED_SOP_CLASS_UID, Element.AFFECTED_SOP_INSTANCE_UID, Element.MOVE_DESTINATION})


@given(
    st.dictionaries(st.sampled_from(NUMBERS), st.integers(0, 0xFFFF)),
    st.dictionaries(st.sampled_from(TEXTS), st.text("0123456789.ABC", max_size=64)),
)
def test_what_is_encoded_is_decoded(numbers: dict[Element, int], texts: dict[Element, str]) -> None:
    fixed: dict[Element, int | str] = {Element.COMMAND_FIELD: 1, Element.MESSAGE_ID: 1, Element.DATA_SET_TYPE: 1}
    command: Command = decode_command(encode_command(fixed | numbers | texts))
    assert {element: command.number(element) for element in numbers} == numbers
    assert {element: command.text(element) for element in texts} == texts


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_malformed(data: bytes) -> None:
    try:
        decode_command(data)
    except Malformed:
        return
