"""Associations we request, with a peer that is proper, silent, rude or broken at every stage."""

import socket
import threading
from collections.abc import Callable

import pytest

from actors.services.remote import echo_scu
from actors.services.remote.association import Association
from actors.services.remote.requestor import MOST_CONTEXTS, Proposal, open_association
from actors.services.remote.target import Target
from actors.wire.dicom import pdu
from actors.wire.dicom.command import Field
from actors.wire.dicom.ending import AbortReason
from actors.wire.dicom.pdu import PduType
from actors.wire.errors import Interrupted, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from tests.contract.remote_peer import (
    ABORT_BY_USER,
    GARBAGE,
    RELEASE_REQUEST,
    Peer,
    PeerServer,
    peer,
)

PROPOSALS = [echo_scu.PROPOSAL]
Step = Callable[[Peer], object]


def echo(target: Target, interruption: Interruption | None = None) -> None:
    with open_association(target, PROPOSALS, interruption or Interruption()) as association:
        echo_scu.echo(association)


def fails(script: Callable[[Peer, PeerServer], None], *, timeout_s: int = 20) -> RemoteFailed:
    """The error of a C-ECHO with this peer."""
    with peer(script) as server, pytest.raises(RemoteFailed) as raised:
        echo(server.target(timeout_s=timeout_s))
    return raised.value


# --- a proper peer ---


def test_an_echo_is_answered_and_the_association_released() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        message = peer.receive()
        assert (message.field, message.has_dataset) == (Field.C_ECHO, False)
        peer.respond(0, to=message)
        peer.end_well()

    with peer(script) as server:
        echo(server.target())


def test_several_requests_have_identifiers_of_their_own() -> None:
    seen = []

    def script(peer: Peer, _server: PeerServer) -> None:
        peer.accept()
        for _ in range(3):
            message = peer.receive()
            seen.append(message.message_id)
            peer.respond(0, to=message)
        peer.end_well()

    with peer(script) as server, open_association(server.target(), PROPOSALS, Interruption()) as association:
        for _ in range(3):
            echo_scu.echo(association)
    assert seen == [1, 2, 3]


def test_titles_limits_and_proposals_are_sent_as_given() -> None:
    asked: list[pdu.AssociateRequest] = []

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        assert peer.request is not None
        asked.append(peer.request)
        peer.end_well()

    proposals = [Proposal("1.2.3", ("1.2.840.10008.1.2",)), Proposal("1.2.4", ("1.5", "1.6"), we_serve=True)]
    with peer(script) as server:
        open_association(server.target(), proposals, Interruption()).release()
    request = asked[0]
    assert (request.called_aet, request.calling_aet, request.maximum_length) == ("PEER", "OURS", 16384)
    assert [(c.id, c.abstract_syntax, c.transfer_syntaxes) for c in request.contexts] == [
        (1, "1.2.3", ("1.2.840.10008.1.2",)),
        (3, "1.2.4", ("1.5", "1.6")),
    ]
    assert request.roles == (pdu.Role("1.2.4", is_scu=True, is_scp=True),)


def test_as_many_contexts_as_an_association_has_are_proposed_and_no_more() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        assert peer.request is not None
        assert [context.id for context in peer.request.contexts] == list(range(1, 256, 2))
        peer.end_well()

    proposals = [Proposal(f"1.2.{number}", ("1.2.840.10008.1.2",)) for number in range(MOST_CONTEXTS)]
    with peer(script) as server:
        open_association(server.target(), proposals, Interruption()).release()
    with pytest.raises(ValueError, match="proposals"):
        open_association(server.target(), [*proposals, PROPOSALS[0]], Interruption())


def test_a_context_accepted_in_a_syntax_never_proposed_is_none() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        request = peer.receive_request()
        answers = [pdu.ContextAnswer(1, 0, "1.2.840.10008.1.2.2")]
        peer.send(
            pdu.encode_associate_accept(
                request,
                answers,
                (),
                maximum_length=0,
                implementation_class_uid="1.2",
                implementation_version_name="X",
            )
        )
        assert peer.receive_pdu()[0] == PduType.RELEASE_RQ

    with peer(script) as server, pytest.raises(RemoteFailed) as raised:
        echo(server.target())
    assert raised.value.code == 2015


def test_a_large_message_calls_back_before_its_last_fragment() -> None:
    dataset = bytes(range(256)) * 400
    pdus: list[int] = []
    may_end = threading.Event()

    def script(peer: Peer, server: PeerServer) -> None:
        peer.accept(maximum_length=4096)
        while True:
            kind, body = peer.receive_pdu()
            assert (kind, len(body) <= 4096) == (PduType.P_DATA, True)
            pdus.append(body[5])
            if len(pdus) == 25 + 1:
                server.has_come.set()  # the command and all fragments but the last are here
                peer.socket.setblocking(False)
                with pytest.raises(BlockingIOError):
                    peer.socket.recv(1)
                peer.socket.settimeout(20)
                may_end.set()
            if body[5] == 2:
                break
        peer.end_well()

    def settle() -> None:
        assert server.has_come.wait(20)
        assert may_end.wait(20)

    with peer(script) as server:
        association = open_association(server.target(), PROPOSALS, Interruption())
        command = echo_scu.encode_request(1)
        association.send_large(association.contexts[0], command, memoryview(dataset), settle)
        association.release()
    assert pdus == [3] + [0] * 25 + [2]


def test_what_settle_raises_leaves_the_association_to_be_aborted() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        assert peer.wait_until_gone() == [PduType.ABORT]

    class Over(Exception):
        pass

    def settle() -> None:
        raise Over

    with peer(script) as server:
        association = open_association(server.target(), PROPOSALS, Interruption())
        with pytest.raises(Over):
            association.send_large(association.contexts[0], echo_scu.encode_request(1), memoryview(b"12"), settle)
        assert not association.is_usable
        association.release()


# --- refusals ---


@pytest.mark.parametrize(
    ("result", "source", "reason", "text", "trouble"),
    [
        (1, 1, 3, "Permanent: Calling AE Title Not Recognized", Trouble.FINAL),
        (1, 1, 7, "Permanent: Called AE Title Not Recognized", Trouble.FINAL),
        (1, 2, 2, "Permanent: Protocol Version Not Supported", Trouble.FINAL),
        (2, 3, 1, "Transient: Temporary Congestion", Trouble.BUSY),
        (2, 3, 2, "Transient: Local Limit Exceeded", Trouble.BUSY),
        (1, 9, 9, "Permanent: reason 9/9", Trouble.FINAL),
    ],
)
def test_a_rejection_says_why(result: int, source: int, reason: int, text: str, trouble: Trouble) -> None:
    error = fails(lambda peer, _: peer.reject(result, source, reason))
    assert error.details == f'DicomAssociation - connecting to AET "PEER": Association Rejected: {text}'
    assert (error.code, error.http_status, error.trouble) == (9, 500, trouble)


def test_no_accepted_context_is_told_and_released() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept(result=3)
        peer.end_well()

    error = fails(script)
    assert (error.code, error.trouble) == (2015, Trouble.FINAL)
    assert error.details == 'Unable to negotiate a presentation context with AET "PEER"'


def test_a_failed_echo_names_the_status() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        peer.respond(0x0122, to=peer.receive())
        peer.wait_until_gone()

    error = fails(script)
    assert (error.dimse_status, error.trouble) == (0x0122, Trouble.FINAL)
    assert error.details == 'C-ECHO SCU to AET "PEER" has failed with DIMSE status 0x0122'


def test_a_refused_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = Target(host="127.0.0.1", port=taken.getsockname()[1], called_aet="DEAD", calling_aet="OURS")
        with pytest.raises(RemoteFailed) as raised:
            echo(target)
    assert raised.value.trouble is Trouble.UNREACHABLE
    assert raised.value.details == (
        'DicomAssociation - connecting to AET "DEAD": TCP Initialization Error: Connection refused'
    )


# --- at every stage: silence, the end of the connection, an abort, garbage, a release ---


def to_the_request(peer: Peer) -> None:
    peer.receive_request()


def to_the_message(peer: Peer) -> None:
    peer.accept()
    peer.receive()


def into_the_response(peer: Peer) -> None:
    peer.accept()
    message = peer.receive()
    whole = pdu.encode_p_data(1, pdu_of_response(message.message_id), is_command=True, is_last=True)
    peer.send(whole[: len(whole) // 2])


def none(_: object) -> None:
    """Nothing more is done: the connection is closed."""


def pdu_of_response(message_id: int) -> bytes:
    return echo_scu.encode_request(message_id)  # of the right length


STAGES = [to_the_request, to_the_message, into_the_response]
stages = pytest.mark.parametrize("stage", STAGES)


@stages
def test_silence_ends_by_the_timeout(stage: Step) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        stage(peer)
        peer.wait_until_gone()

    assert fails(script, timeout_s=1).trouble is Trouble.TIMEOUT


@stages
def test_a_closed_connection_is_unreachable(stage: Step) -> None:
    error = fails(lambda peer, _: none(stage(peer)))
    assert error.trouble is Trouble.UNREACHABLE
    assert "Connection lost" in error.details


@pytest.mark.parametrize("stage", [to_the_request, to_the_message])
def test_an_abort_may_pass(stage: Step) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        stage(peer)
        peer.send(ABORT_BY_USER)
        peer.wait_until_gone()

    error = fails(script)
    assert (error.trouble, error.code) == (Trouble.UNREACHABLE, 9)
    assert error.details.endswith('AET "PEER": Peer aborted Association')


def test_an_abort_for_what_we_have_sent_is_final() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        to_the_message(peer)
        peer.send(pdu.encode_abort(AbortReason.UNEXPECTED_PDU))
        peer.wait_until_gone()

    error = fails(script)
    assert error.trouble is Trouble.FINAL
    assert error.details == 'DicomAssociation - C-ECHO to AET "PEER": Peer aborted Association (provider, reason 2)'


@pytest.mark.parametrize("stage", [to_the_request, to_the_message])
def test_garbage_is_answered_by_an_abort(stage: Step) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        stage(peer)
        peer.send(GARBAGE)
        assert peer.wait_until_gone() in ([PduType.ABORT], [])  # a reset may overtake it

    error = fails(script)
    assert error.trouble is Trouble.FINAL
    assert "Peer broke the protocol" in error.details


def test_a_release_by_the_peer() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        to_the_message(peer)
        peer.send(RELEASE_REQUEST)
        peer.wait_until_gone()

    error = fails(script)
    assert error.trouble is Trouble.UNREACHABLE
    assert "released" in error.details


def test_a_response_to_another_request_is_answered_by_an_abort() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        message = peer.receive()
        peer.respond(0, {}, to=type(message)(message.field, 77, has_dataset=False, elements=message.elements))
        assert peer.wait_until_gone() == [PduType.ABORT]

    assert "does not answer the C-ECHO" in fails(script).details


@pytest.mark.parametrize("answer", [b"", ABORT_BY_USER, GARBAGE, RELEASE_REQUEST])
def test_whatever_answers_a_release_the_work_is_done(answer: bytes) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        peer.respond(0, to=peer.receive())
        assert peer.receive_pdu()[0] == PduType.RELEASE_RQ
        peer.send(answer)

    with peer(script) as server:
        echo(server.target())


# --- interruption ---


def interrupted(target: Target, wait: Callable[[], object], proceed: Callable[[Association], None]) -> None:
    """Interrupt from another thread once `wait` returns; the association must end with Interrupted."""
    interruption = Interruption()
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            with open_association(target, PROPOSALS, interruption) as association:
                proceed(association)
            ended.append(None)
        except BaseException as exc:  # noqa: BLE001 # looked at below
            ended.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    wait()
    interruption.interrupt()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(ended[0], Interrupted)


@stages
@pytest.mark.parametrize("timeout_s", [0, 3600])
def test_an_interruption_ends_every_wait(stage: Step, timeout_s: int) -> None:
    def script(peer: Peer, server: PeerServer) -> None:
        stage(peer)
        server.has_come.set()
        peer.wait_until_gone()

    with peer(script) as server:
        interrupted(server.target(timeout_s=timeout_s), server.has_come.wait, echo_scu.echo)


def test_an_interruption_while_waiting_is_told_to_the_peer() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        assert peer.wait_until_gone() == [PduType.ABORT]

    waits = threading.Event()

    def wait(association: Association) -> None:
        waits.set()
        association.receive()

    with peer(script) as server:
        interrupted(server.target(), waits.wait, wait)


def test_an_interruption_ends_a_write_to_a_peer_that_does_not_read() -> None:
    may_go = threading.Event()

    def script(peer: Peer, server: PeerServer) -> None:
        peer.accept()
        peer.receive_pdu()
        server.has_come.set()
        assert may_go.wait(20)

    def send(association: Association) -> None:
        command = echo_scu.encode_request(1)
        association.send_large(association.contexts[0], command, memoryview(bytes(1 << 26)))

    with peer(script) as server:
        interrupted(server.target(), server.has_come.wait, send)
        may_go.set()


def test_an_interruption_ends_connecting() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = fill_queue(port)
        target = Target(host="127.0.0.1", port=port, called_aet="FULL", calling_aet="OURS", timeout_s=0)
        interrupted(target, lambda: None, echo_scu.echo)
        for sock in waiting:
            sock.close()


def test_connecting_ends_by_the_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = fill_queue(port)
        with pytest.raises(RemoteFailed) as raised:
            echo(Target(host="127.0.0.1", port=port, called_aet="FULL", calling_aet="OURS", timeout_s=1))
        for sock in waiting:
            sock.close()
    assert raised.value.trouble is Trouble.TIMEOUT
    assert raised.value.details.startswith('DicomAssociation - connecting to AET "FULL": TCP Initialization Error')


def fill_queue(port: int) -> list[socket.socket]:
    """Connections enough for the kernel to take no more of them."""
    waiting = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        waiting.append(sock)
    return waiting


def test_an_interruption_ends_the_search_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def look_up(host: str, port: int, flags: int = 0) -> list[object]:
        if flags:
            raise socket.gaierror
        asked.set()
        assert may_answer.wait(20)
        return []

    monkeypatch.setattr("actors.wire.dialling._lookup", look_up)
    before = set(threading.enumerate())
    target = Target(host="slow.invalid", port=104, called_aet="SLOW", calling_aet="OURS")
    interrupted(target, asked.wait, echo_scu.echo)
    may_answer.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)


def test_what_is_interrupted_already_does_not_begin() -> None:
    interruption = Interruption()
    interruption.interrupt()
    with pytest.raises(Interrupted):
        open_association(Target(host="127.0.0.1", port=1, called_aet="X", calling_aet="Y"), PROPOSALS, interruption)


def test_an_association_that_is_kept_heeds_only_its_present_user() -> None:
    def script(peer: Peer, _server: PeerServer) -> None:
        peer.accept()
        for _ in range(2):
            peer.respond(0, to=peer.receive())
        assert peer.wait_until_gone() == [PduType.ABORT]

    first, second = Interruption(), Interruption()
    with peer(script) as server:
        association = open_association(server.target(), PROPOSALS, first)
        echo_scu.echo(association)
        association.detach()
        first.interrupt()
        assert association.is_still_open()
        association.attach(second)
        echo_scu.echo(association)
        second.interrupt()
        with pytest.raises(Interrupted):
            echo_scu.echo(association)
        association.release()


def test_a_kept_association_is_not_used_after_the_peer_has_spoken() -> None:
    said, may_go = threading.Event(), threading.Event()

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        peer.send(RELEASE_REQUEST)
        said.set()
        assert may_go.wait(20)
        assert peer.wait_until_gone() == [PduType.ABORT]

    with peer(script) as server:
        association = open_association(server.target(), PROPOSALS, Interruption())
        assert said.wait(20)
        assert not association.is_still_open()
        association.abort()
        may_go.set()
