"""What a requestor encodes and decodes, held against pynetdicom's own encoding (PS3.8 §9.3)."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from actors.wire.dicom import pdu
from actors.wire.dicom.ending import Malformed
from actors.wire.dicom.pdu import ContextAnswer, ProposedContext, Rejection, Role

HEADER_BYTES = 6
uids = st.integers(0, 10**30).map(lambda number: f"2.25.{number}")
titles = st.text("ABCXYZ019_-", min_size=1, max_size=16)
maximum_lengths = st.integers(0, 2**32 - 1)
abstract_syntaxes = st.lists(uids, min_size=1, max_size=20, unique=True)
syntax_lists = st.lists(uids, min_size=1, max_size=4, unique=True)


@st.composite
def contexts(draw: st.DrawFn) -> list[ProposedContext]:
    return [
        ProposedContext(2 * number + 1, name, tuple(draw(syntax_lists)))
        for number, name in enumerate(draw(abstract_syntaxes))
    ]


@st.composite
def roles_of(draw: st.DrawFn, proposed: list[ProposedContext]) -> list[Role]:
    chosen = draw(st.lists(st.sampled_from(proposed), unique_by=lambda each: each.abstract_syntax))
    combinations = st.sampled_from([(True, True), (False, True), (True, False)])
    return [Role(each.abstract_syntax, *draw(combinations)) for each in chosen]


def request_by_pynetdicom(primitive: A_ASSOCIATE) -> bytes:
    made = A_ASSOCIATE_RQ()
    made.from_primitive(primitive)
    return bytes(made.encode())


def primitive_of(contexts: list[Any], called: str, calling: str, maximum_length: int, roles: list[Role]) -> A_ASSOCIATE:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    length = MaximumLengthNotification()
    length.maximum_length_received = maximum_length
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.3"
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "NAME"
    selections = []
    for role in roles:
        selection = SCP_SCU_RoleSelectionNegotiation()
        selection.sop_class_uid, selection.scu_role, selection.scp_role = role.sop_class, role.is_scu, role.is_scp
        selections.append(selection)
    primitive.user_information = [length, implementation, *selections, version]
    primitive.presentation_context_definition_list = contexts
    return primitive


@given(st.data(), titles, titles, maximum_lengths)
def test_a_request_is_encoded_as_pynetdicom_would(
    data: st.DataObject, called: str, calling: str, maximum_length: int
) -> None:
    proposed = data.draw(contexts())
    roles = data.draw(roles_of(proposed))
    theirs: list[Any] = []
    for each in proposed:
        context = PresentationContext()
        context.context_id, context.abstract_syntax = each.id, each.abstract_syntax
        context.transfer_syntax = list(each.transfer_syntaxes)
        theirs.append(context)
    expected = request_by_pynetdicom(primitive_of(theirs, called, calling, maximum_length, roles))
    ours = pdu.encode_associate_request(
        called,
        calling,
        proposed,
        roles,
        maximum_length=maximum_length,
        implementation_class_uid="1.2.3",
        implementation_version_name="NAME",
    )
    assert ours == expected
    decoded = pdu.decode_associate_request(ours[HEADER_BYTES:])
    assert (decoded.called_aet, decoded.calling_aet) == (called, calling)
    assert (decoded.contexts, decoded.roles) == (tuple(proposed), tuple(roles))
    assert decoded.maximum_length == maximum_length


@given(st.data(), maximum_lengths)
def test_what_pynetdicom_answers_is_understood(data: st.DataObject, maximum_length: int) -> None:
    proposed = data.draw(contexts())
    roles = data.draw(roles_of(proposed))
    answers = [ContextAnswer(each.id, data.draw(st.integers(0, 4)), each.transfer_syntaxes[0]) for each in proposed]
    theirs: list[Any] = []
    for answer in answers:
        context = PresentationContext()
        context.context_id, context.result = answer.id, answer.result
        context.transfer_syntax = [answer.transfer_syntax]
        theirs.append(context)
    primitive = primitive_of([], "CALLED", "CALLING", maximum_length, roles)
    primitive.presentation_context_definition_results_list = theirs
    primitive.result = 0
    made = A_ASSOCIATE_AC()
    made.from_primitive(primitive)
    decoded = pdu.decode_associate_accept(bytes(made.encode())[HEADER_BYTES:])
    assert decoded.answers == tuple(answers)
    assert (decoded.maximum_length, decoded.roles) == (maximum_length, tuple(roles))


@pytest.mark.parametrize("result", [1, 2])
@pytest.mark.parametrize(("source", "reasons"), [(1, (1, 2, 3, 7)), (2, (1, 2)), (3, (1, 2))])
def test_a_rejection_is_understood(result: int, source: int, reasons: tuple[int, ...]) -> None:
    for reason in reasons:
        primitive = A_ASSOCIATE()
        primitive.result, primitive.result_source, primitive.diagnostic = result, source, reason
        made = A_ASSOCIATE_RJ()
        made.from_primitive(primitive)
        raw = bytes(made.encode())
        assert raw == pdu.encode_associate_reject(Rejection(result, source, reason))
        assert pdu.decode_associate_reject(raw[HEADER_BYTES:]) == Rejection(result, source, reason)


def test_release_and_abort_are_pynetdicoms() -> None:
    assert pdu.encode_release_request() == bytes(A_RELEASE_RQ().encode())
    abort = A_ABORT_RQ()
    abort.source, abort.reason_diagnostic = 0, 0
    assert pdu.encode_abort(None) == bytes(abort.encode())


@given(st.binary(max_size=200))
def test_an_answer_of_any_bytes_is_understood_or_refused(body: bytes) -> None:
    for decode in (pdu.decode_associate_accept, pdu.decode_associate_reject, pdu.decode_associate_request):
        with contextlib.suppress(Malformed):
            decode(body)


@given(st.data())
def test_a_broken_answer_is_understood_or_refused(data: st.DataObject) -> None:
    whole = pdu.encode_associate_accept(
        pdu.AssociateRequest(
            protocol_version=1,
            called_aet="A",
            calling_aet="B",
            titles=bytes(64),
            application_context="",
            contexts=(),
            maximum_length=0,
            roles=(),
        ),
        [ContextAnswer(1, 0, "1.2.840.10008.1.2")],
        [Role("1.2.3", is_scu=True, is_scp=True)],
        maximum_length=4096,
        implementation_class_uid="1.2",
        implementation_version_name="X",
    )[HEADER_BYTES:]
    body = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        pdu.decode_associate_accept(bytes(body))
