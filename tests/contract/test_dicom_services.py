"""What a service may do with an association: pending answers, datasets of its own, C-CANCEL, requests to the peer."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Element, Field, encode_command, encode_response
from actors.wire.dicom.pdu import Context, encode_p_data
from actors.wire.dicom.statuses import CANCELLED, PENDING, SUCCESS
from api.dicom.association import Association
from api.dicom.server import DicomServer
from api.dicom.service import FinalResponse, Handler, Service
from api.dicom.settings import DicomSettings
from tests.contract.dicom_scu import EXPLICIT_LE, Aborted, Response, Scu, associate_request, user_information

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
CONTEXTS = [(1, FIND, [EXPLICIT_LE])]
SETTINGS = DicomSettings(always_allowed=frozenset({Operation.FIND}))


def find_request(message_id: int = 3, context_id: int = 1, sop_class: str = FIND) -> bytes:
    command = encode_command(
        {
            Element.AFFECTED_SOP_CLASS_UID: sop_class,
            Element.COMMAND_FIELD: Field.C_FIND,
            Element.MESSAGE_ID: message_id,
            Element.PRIORITY: 0,
            Element.DATA_SET_TYPE: 1,
        }
    )
    identifier = encode_p_data(context_id, b"\x10\0\x20\0LO\0\0", is_command=False, is_last=True)
    return encode_p_data(context_id, command, is_command=True, is_last=True) + identifier


def cancel_request(message_id: int = 3) -> bytes:
    command = encode_command(
        {
            Element.COMMAND_FIELD: Field.C_CANCEL,
            Element.MESSAGE_ID_RESPONDED_TO: message_id,
            Element.DATA_SET_TYPE: 0x0101,
        }
    )
    return encode_p_data(1, command, is_command=True, is_last=True)


@contextmanager
def serve(*services: Service) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = DicomServer(listener, services, lambda: SETTINGS)
    server.start()
    try:
        yield port
    finally:
        server.stop()


def find_service(handle: Handler, *syntaxes: str, operation: Operation = Operation.FIND) -> Service:
    return Service(field=Field.C_FIND, operation=operation, handle=handle, abstract_syntaxes=frozenset(syntaxes))


def serve_find(handle: Handler) -> AbstractContextManager[int]:
    return serve(find_service(handle, FIND))


def read_message(scu: Scu, size: int) -> list[bytes]:
    """The bodies of the next P-DATA PDUs until `size` bytes of dataset are there."""
    bodies: list[bytes] = []
    while sum(len(body) - 6 for body in bodies) < size:
        kind, length = struct.unpack(">BxI", scu._receive_exactly(6))
        assert kind == 4
        bodies.append(scu._receive_exactly(length))
    return bodies


def test_pending_answers_carry_datasets_in_fragments_the_peer_can_take() -> None:
    answer = bytes(range(250)) * 4

    def handle(association: Association, context: Context, command: Command) -> FinalResponse:
        assert b"".join(map(bytes, association.dataset())) == b"\x10\0\x20\0LO\0\0"
        association.send(context, encode_response(command, PENDING, has_dataset=True), [answer[:300], answer[300:]])
        return FinalResponse(SUCCESS)

    with serve_find(handle) as port, Scu(port) as scu:
        scu.ask(associate_request(CONTEXTS, user=user_information(128)))
        pending = scu.ask(find_request())
        assert isinstance(pending, Response)
        assert (pending.status, pending.command.has_dataset) == (PENDING, True)
        bodies = read_message(scu, len(answer))
        assert b"".join(body[6:] for body in bodies) == answer
        assert max(map(len, bodies)) <= 128
        assert [body[5] for body in bodies] == [0] * (len(bodies) - 1) + [2]
        done = scu.receive()
        assert isinstance(done, Response)
        assert (done.status, done.command.has_dataset) == (SUCCESS, False)


def test_a_cancel_is_seen_while_answers_go_out() -> None:
    cancelled = threading.Event()

    def handle(association: Association, context: Context, command: Command) -> FinalResponse:
        association.skip_dataset()
        assert not association.is_cancelled(command)
        association.send(context, encode_response(command, PENDING))
        assert cancelled.wait(20)
        while not association.is_cancelled(command):
            pass
        return FinalResponse(CANCELLED)

    with serve_find(handle) as port, Scu(port) as scu:
        scu.associate(CONTEXTS)
        for message_id in (3, 4, 3):  # an identifier used again is not cancelled yet
            cancelled.clear()
            first = scu.ask(find_request(message_id))
            assert isinstance(first, Response)
            assert first.status == PENDING
            scu.send(cancel_request(99) + cancel_request(message_id))
            cancelled.set()
            last = scu.receive()
            assert isinstance(last, Response)
            assert last.status == CANCELLED


def test_a_cancel_after_the_answer_is_read_over() -> None:
    def handle(association: Association, context: Context, command: Command) -> FinalResponse:
        return FinalResponse(SUCCESS)

    with serve_find(handle) as port, Scu(port) as scu:
        scu.associate(CONTEXTS)
        for _ in range(2):
            assert isinstance(scu.ask(find_request()), Response)
            scu.send(cancel_request())


def test_another_request_before_the_answer_is_a_violation() -> None:
    sent = threading.Event()

    def handle(association: Association, _context: Context, command: Command) -> FinalResponse:
        association.skip_dataset()
        assert sent.wait(20)
        while not association.is_cancelled(command):
            pass
        return FinalResponse(SUCCESS)

    with serve_find(handle) as port, Scu(port) as scu:
        scu.associate(CONTEXTS)
        scu.send(find_request(1) + find_request(2))
        sent.set()
        assert scu.receive() == Aborted(2, 5)


def test_a_service_may_ask_the_peer() -> None:
    """As C-GET does: a request of our own and its response, inside the peer's request."""
    seen: list[int] = []

    def handle(association: Association, context: Context, command: Command) -> FinalResponse:
        association.skip_dataset()
        own = {Element.COMMAND_FIELD: Field.C_STORE, Element.MESSAGE_ID: 1, Element.DATA_SET_TYPE: 1}
        association.send(context, encode_command(own), [b"\0\0"])
        _, response = association.receive()
        seen.append(response.number(Element.STATUS))
        return FinalResponse(SUCCESS)

    with serve_find(handle) as port, Scu(port) as scu:
        scu.associate(CONTEXTS)
        request = scu.ask(find_request())
        assert isinstance(request, Response)
        assert request.command.field == Field.C_STORE
        read_message(scu, 2)
        done = scu.ask(encode_p_data(1, encode_response(request.command, 0xB000), is_command=True, is_last=True))
        assert isinstance(done, Response)
        assert done.status == SUCCESS
    assert seen == [0xB000]


def test_a_defect_of_a_service_ends_its_association_alone() -> None:
    def handle(_association: Association, _context: Context, _command: Command) -> FinalResponse:
        raise ZeroDivisionError

    with serve_find(handle) as port:
        for _ in range(2):
            with Scu(port) as scu:
                scu.associate(CONTEXTS)
                assert scu.ask(find_request()) == Aborted(0, 0)


def saying(status: int) -> Handler:
    return lambda _association, _context, _command: FinalResponse(status)


def test_two_services_of_one_kind_share_an_association_by_their_abstract_syntaxes() -> None:
    patients, worklist = find_service(saying(0xA701), FIND), find_service(saying(0xA702), WORKLIST)
    contexts = [(1, FIND, [EXPLICIT_LE]), (3, WORKLIST, [EXPLICIT_LE])]
    for services in ((patients, worklist), (worklist, patients)):
        with serve(*services) as port, Scu(port) as scu:
            scu.associate(contexts)
            for context_id, name, status in ((1, FIND, 0xA701), (3, WORKLIST, 0xA702), (1, FIND, 0xA701)):
                answer = scu.ask(find_request(context_id=context_id, sop_class=name))
                assert isinstance(answer, Response)
                assert (answer.context_id, answer.status) == (context_id, status)


def test_each_of_two_services_asks_for_its_own_permission() -> None:
    worklist = find_service(saying(SUCCESS), WORKLIST, operation=Operation.FIND_WORKLIST)
    with serve(find_service(saying(SUCCESS), FIND), worklist) as port, Scu(port) as scu:
        scu.associate([(1, FIND, [EXPLICIT_LE]), (3, WORKLIST, [EXPLICIT_LE])])
        assert isinstance(scu.ask(find_request()), Response)
        assert scu.ask(find_request(context_id=3, sop_class=WORKLIST)) == Aborted(0, 0)


def test_a_request_that_fails_is_answered_and_the_association_goes_on() -> None:
    def fail(_association: Association, _context: Context, _command: Command) -> FinalResponse:
        raise ZeroDivisionError

    service = replace(
        find_service(fail, FIND), explain=lambda error: FinalResponse(0xC001, {Element.ERROR_COMMENT: "X"})
    )
    with serve(service) as port, Scu(port) as scu:
        scu.associate(CONTEXTS)
        for _ in range(2):  # the dataset, which nobody has read, is not taken for the next message
            answer = scu.ask(find_request())
            assert isinstance(answer, Response)
            assert (answer.status, answer.command.text(Element.ERROR_COMMENT)) == (0xC001, "X")
