"""C-GET with a peer that speaks out of turn, PDU by PDU."""

from dataclasses import replace

import pytest

from actors.services.codecs.pool import CodecPool
from actors.services.remote.modality import Modality, Operation
from actors.wire.dicom.command import NO_DATASET, RESPONSE, Element, Field, encode_command
from actors.wire.dicom.pdu import encode_p_data
from api.dicom.get_scp import create_get_service
from api.dicom.service import Service
from store.dicom.identifier import encode_dataset
from store.dicom.uids import STUDY_ROOT_GET
from tests.contract.dicom_scu import (
    ABORT,
    Aborted,
    Accepted,
    ReleaseReply,
    Response,
    Scu,
    associate_request,
    item,
    user_information,
)
from tests.contract.retrieve_stage import SETTINGS, fill, get, serving, study
from tests.dicom_bytes import MR, uid
from tools.server.core import Core

LITTLE = "1.2.840.10008.1.2.1"
SERIES = {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": uid(1, 1, 1)}


@pytest.fixture
def service(archive: Core) -> Service:
    """Of an archive with a series of three instances."""
    fill(archive, *study(instances=3))
    return create_get_service(archive.views, archive.blobs, CodecPool())


def ask_rawly(scu: Scu) -> None:
    """Associate as an SCP of MR, ask for a series of three; the first C-STORE is on its way when this returns."""
    role = MR.encode()
    roles = item(0x54, len(role).to_bytes(2, "big") + role + b"\0\1")
    contexts = ((1, STUDY_ROOT_GET, (LITTLE,)), (3, MR, (LITTLE,)))
    assert isinstance(scu.ask(associate_request(contexts, user=user_information(extra=roles))), Accepted)
    command = encode_command(
        {
            Element.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_GET,
            Element.COMMAND_FIELD: Field.C_GET,
            Element.MESSAGE_ID: 7,
            Element.PRIORITY: 0,
            Element.DATA_SET_TYPE: 1,
        }
    )
    keys = encode_dataset({0x00080052: "SERIES", 0x0020000E: uid(1, 1, 1)}, LITTLE, "Ascii")
    scu.send(encode_p_data(1, command, is_command=True, is_last=True))
    scu.send_dataset(keys, context_id=1)


def command(field: int, about: int, **extra: int) -> bytes:
    elements: dict[Element, int | str] = {
        Element.COMMAND_FIELD: field,
        Element.MESSAGE_ID_RESPONDED_TO: about,
        Element.DATA_SET_TYPE: NO_DATASET,
    }
    elements |= {Element[name.upper()]: value for name, value in extra.items()}
    return encode_p_data(3, encode_command(elements), is_command=True, is_last=True)


def take_store(scu: Scu) -> int:
    """Read a C-STORE request; returns its message identifier."""
    request = scu.receive()
    assert isinstance(request, Response)
    assert request.command.field == Field.C_STORE
    assert scu.receive_dataset()
    return request.command.message_id


def test_a_cancel_in_the_middle_of_a_sub_operation_lets_it_end(service: Service) -> None:
    with serving(service) as port, Scu(port) as scu:
        ask_rawly(scu)
        store = take_store(scu)
        scu.send(command(Field.C_CANCEL, 7))
        scu.send(command(Field.C_STORE | RESPONSE, store, status=0))
        pending, last = scu.receive(), scu.receive()
        assert isinstance(pending, Response)
        assert isinstance(last, Response)
        assert (pending.status, last.status) == (0xFF00, 0xFE00)
        assert last.command.number(Element.REMAINING_SUBOPERATIONS) == 2
        assert isinstance(scu.release(), ReleaseReply)


def test_a_cancel_of_another_request_is_none(service: Service) -> None:
    with serving(service) as port, Scu(port) as scu:
        ask_rawly(scu)
        for _ in range(3):
            store = take_store(scu)
            scu.send(command(Field.C_CANCEL, 8))
            scu.send(command(Field.C_STORE | RESPONSE, store, status=0))
            answer = scu.receive()
        assert isinstance(answer, Response)
        assert (answer.status, answer.command.number(Element.COMPLETED_SUBOPERATIONS)) == (0, 3)


@pytest.mark.parametrize("field", [Field.C_STORE, Field.C_STORE | RESPONSE, Field.C_ECHO])
def test_what_does_not_answer_a_sub_operation_ends_the_association(service: Service, field: int) -> None:
    with serving(service) as port, Scu(port) as scu:
        ask_rawly(scu)
        take_store(scu)
        scu.send(command(field, 99, message_id=99))
        assert isinstance(scu.receive(), Aborted)


@pytest.mark.parametrize("last", [ABORT, b""])
def test_a_peer_may_go_in_the_middle(service: Service, last: bytes) -> None:
    with serving(service) as port:
        with Scu(port) as scu:
            ask_rawly(scu)
            take_store(scu)
            scu.send(last)
        assert get(port, STUDY_ROOT_GET, SERIES).status == 0


@pytest.mark.parametrize(("allowed", "is_served"), [({Operation.GET}, True), ({Operation.MOVE, Operation.FIND}, False)])
def test_a_modality_may_get_where_it_is_allowed_to(
    service: Service, allowed: set[Operation], *, is_served: bool
) -> None:
    modality = Modality(name="scu", aet="SCU", host="127.0.0.1", port=104, allowed=frozenset(allowed))
    settings = replace(SETTINGS, always_allowed=frozenset({Operation.ECHO}), modalities=(modality,))
    with serving(service, settings=settings) as port, Scu(port) as scu:
        ask_rawly(scu)
        assert isinstance(scu.receive(), Response if is_served else Aborted)
