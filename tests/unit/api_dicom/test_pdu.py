"""PDUs against pynetdicom's encoders and decoders, and against damage."""

import struct

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext, build_context

from actors.wire.dicom.ending import AbortReason, Malformed
from actors.wire.dicom.pdu import (
    DEFAULT_MAXIMUM_LENGTH,
    ContextAnswer,
    ProposedContext,
    Rejection,
    Role,
    decode_associate_request,
    encode_abort,
    encode_associate_accept,
    encode_associate_reject,
    encode_p_data,
    encode_release_reply,
)
from store.dicom.uids import APPLICATION_CONTEXT

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"


def request_body(contexts: int = 2) -> bytes:
    """An A-ASSOCIATE-RQ with every kind of user item, as pynetdicom writes it, without its six bytes of header."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title = "MODALITY"
    primitive.called_ae_title = "ARCHIVE"
    proposed = []
    for number in range(contexts):
        context: PresentationContext = build_context(CT if number % 2 else MR, [IMPLICIT_LE, EXPLICIT_LE])
        context.context_id = 2 * number + 1
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = 65536
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.3.4"
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, False
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    primitive.user_information = [maximum, implementation, role, window, identity]
    return bytes(A_ASSOCIATE_RQ(primitive).encode()[6:])


def test_a_request_is_decoded_as_pynetdicom_encoded_it() -> None:
    request = decode_associate_request(request_body())
    assert (request.called_aet, request.calling_aet) == ("ARCHIVE", "MODALITY")
    assert request.application_context == APPLICATION_CONTEXT
    assert request.protocol_version == 1
    assert request.maximum_length == 65536
    assert request.contexts == (
        ProposedContext(1, MR, (IMPLICIT_LE, EXPLICIT_LE)),
        ProposedContext(3, CT, (IMPLICIT_LE, EXPLICIT_LE)),
    )
    assert request.roles == (Role(CT, is_scu=True, is_scp=False),)


def test_a_request_may_propose_128_contexts() -> None:
    assert [context.id for context in decode_associate_request(request_body(128)).contexts] == list(range(1, 256, 2))


def test_a_request_without_user_information_gets_the_default_length() -> None:
    body = request_body()
    user = body.index(b"\x50\0", 68)
    assert decode_associate_request(body[:user]).maximum_length == DEFAULT_MAXIMUM_LENGTH


def test_a_request_cut_anywhere_is_malformed_or_lacks_its_last_items() -> None:
    body = request_body()
    whole = decode_associate_request(body)
    for end in range(len(body)):
        try:
            assert decode_associate_request(body[:end]).contexts in {whole.contexts, whole.contexts[:1]}
        except Malformed:
            continue


@pytest.mark.parametrize(
    "items",
    [
        b"",
        b"\x20\0\0\x03\x01\0\0",
        b"\x20\0\0\x04\x01\0\0\0",
        b"\x20\0\xff\xff\x01\0\0\0",
        b"\x20\0\0\x0b\x01\0\0\0\x30\0\0\x031.2",
        b"\x50\0\0\x08\x54\0\0\x04\0\x09ab",
    ],
    ids=["no context", "no identifier", "no syntax", "too long", "no transfer syntax", "role too long"],
)
def test_a_request_with_a_broken_item_is_malformed(items: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        decode_associate_request(request_body()[:68] + items)
    assert caught.value.reason is AbortReason.INVALID_PARAMETER


def test_an_acceptance_is_read_by_pynetdicom() -> None:
    body = request_body()
    encoded = encode_associate_accept(
        decode_associate_request(body),
        [ContextAnswer(1, 0, EXPLICIT_LE), ContextAnswer(3, 4, IMPLICIT_LE)],
        [Role(CT, is_scu=True, is_scp=False)],
        maximum_length=16384,
        implementation_class_uid="2.25.1",
        implementation_version_name="NAME",
    )
    decoded = A_ASSOCIATE_AC()
    decoded.decode(encoded)
    assert decoded.application_context_name == APPLICATION_CONTEXT
    assert [(c.context_id, c.result) for c in decoded.presentation_context] == [(1, 0), (3, 4)]
    assert decoded.presentation_context[0].transfer_syntax == EXPLICIT_LE
    information = decoded.user_information
    assert information is not None
    assert information.maximum_length == 16384
    assert information.implementation_class_uid == "2.25.1"
    assert information.implementation_version_name == "NAME"
    assert list(information.role_selection) == [CT]
    assert encoded[10:74] == body[4:68], "titles come back as they were sent"


def test_a_rejection_is_read_by_pynetdicom() -> None:
    decoded = A_ASSOCIATE_RJ()
    decoded.decode(encode_associate_reject(Rejection(1, 2, 3)))
    assert (decoded.result, decoded.source, decoded.reason_diagnostic) == (1, 2, 3)


@pytest.mark.parametrize(("reason", "expected"), [(None, (0, 0)), (AbortReason.UNEXPECTED_PDU, (2, 2))])
def test_an_abort_is_read_by_pynetdicom(reason: AbortReason | None, expected: tuple[int, int]) -> None:
    decoded = A_ABORT_RQ()
    decoded.decode(encode_abort(reason))
    assert (decoded.source, decoded.reason_diagnostic) == expected


def test_a_release_reply_is_pynetdicoms() -> None:
    assert encode_release_reply() == A_RELEASE_RP().encode()


@pytest.mark.parametrize(
    ("is_command", "is_last", "header"), [(True, True, 3), (True, False, 1), (False, True, 2), (False, False, 0)]
)
def test_a_fragment_is_read_by_pynetdicom(*, is_command: bool, is_last: bool, header: int) -> None:
    decoded = P_DATA_TF()
    decoded.decode(encode_p_data(5, b"data", is_command=is_command, is_last=is_last))
    (value,) = decoded.presentation_data_value_items
    assert value.presentation_context_id == 5
    assert value.presentation_data_value == struct.pack("B", header) + b"data"
