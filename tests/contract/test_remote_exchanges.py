"""C-FIND, C-MOVE and C-GET as a client, with a peer that answers as it is told."""

from collections.abc import Callable, Generator
from contextlib import closing

import pytest

from actors.services.remote import find_scu, get_scu, move_scu
from actors.services.remote.association import Association
from actors.services.remote.get_scu import Incoming
from actors.services.remote.move_scu import Progress
from actors.services.remote.requestor import Proposal, open_association
from actors.services.scripts.errors import ScriptFailed
from actors.wire.dicom import pdu
from actors.wire.dicom.command import RESPONSE, Command, Element, Field, encode_command
from actors.wire.dicom.pdu import PduType
from actors.wire.dicom.statuses import CANCELLED
from actors.wire.errors import Interrupted, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from events.errors import InvalidDicom, StorageFailed, StorageFull
from store.dicom.uids import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE, WORKLIST_FIND
from tests.contract.remote_peer import Peer, PeerServer, peer

FIND, MOVE, GET = STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET
CT = "1.2.840.10008.5.1.4.1.1.2"
LE = "1.2.840.10008.1.2.1"
PENDING, NO_OPTIONAL_KEYS = 0xFF00, 0xFF01
COUNTS = (
    Element.REMAINING_SUBOPERATIONS,
    Element.COMPLETED_SUBOPERATIONS,
    Element.FAILED_SUBOPERATIONS,
    Element.WARNING_SUBOPERATIONS,
)
PROPOSALS = [Proposal(FIND, (LE,)), Proposal(MOVE, (LE,)), *get_scu.proposals([(CT, [LE])])]


def connect(server: PeerServer, interruption: Interruption | None = None) -> Association:
    return open_association(server.target(), PROPOSALS, interruption or Interruption())


def encode(transfer_syntax: str) -> bytes:
    return b"identifier in " + transfer_syntax.encode()


def find(association: Association) -> Generator[find_scu.Match, None, None]:
    return find_scu.find(association, FIND, encode)


def move(association: Association) -> Generator[Progress, None, None]:
    return move_scu.move(association, MOVE, encode, "THERE")


# --- C-FIND ---


def test_answers_come_as_they_are() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        assert (asked.field, asked.text(Element.AFFECTED_SOP_CLASS_UID)) == (Field.C_FIND, FIND)
        assert (asked.number(Element.PRIORITY, 9), peer.dataset) == (0, encode(LE))
        peer.respond(PENDING, dataset=b"one", to=asked)
        peer.respond(NO_OPTIONAL_KEYS, dataset=b"two", to=asked)
        peer.respond(0, to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        assert [match.dataset for match in find(association)] == [b"one", b"two"]


def test_an_answer_in_many_fragments_is_put_together() -> None:
    dataset = bytes(range(256)) * 1000

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        head = {Element.COMMAND_FIELD: Field.C_FIND | RESPONSE, Element.MESSAGE_ID_RESPONDED_TO: asked.message_id}
        command = encode_command({**head, Element.DATA_SET_TYPE: 1, Element.STATUS: PENDING})
        peer.send(pdu.encode_p_data(peer.context_id, command[:9], is_command=True, is_last=False))
        peer.send(pdu.encode_p_data(peer.context_id, command[9:], is_command=True, is_last=True))
        for start in range(0, len(dataset), 1000):
            part = dataset[start : start + 1000]
            peer.send(pdu.encode_p_data(peer.context_id, part, is_command=False, is_last=start + 1000 >= len(dataset)))
        peer.respond(0, to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        assert [match.dataset for match in find(association)] == [dataset]


@pytest.mark.parametrize(
    ("status", "details", "http_status", "trouble"),
    [
        (0xC000, "0xC000 (unable to process - invalid query ?)", 422, Trouble.FINAL),
        (0xC311, "0xC311", 500, Trouble.FINAL),
        (0xA700, "0xA700", 500, Trouble.BUSY),
        (0xA900, "0xA900", 500, Trouble.FINAL),
        (0xFE00, "0xFE00", 500, Trouble.FINAL),
    ],
)
def test_a_failed_query_is_told_as_orthanc_does(status: int, details: str, http_status: int, trouble: Trouble) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        peer.respond(PENDING, dataset=b"one", to=asked)
        peer.respond(status, to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        matches = find(association)
        assert next(matches).dataset == b"one"
        with pytest.raises(RemoteFailed) as raised:
            next(matches)
    error = raised.value
    assert error.details == f'C-FIND SCU to AET "PEER" has failed with DIMSE status {details}'
    assert (error.code, error.http_status, error.dimse_status, error.trouble) == (9, http_status, status, trouble)


def test_a_peer_that_limits_its_answers_has_answered() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        peer.respond(PENDING, dataset=b"one", to=asked)
        peer.respond(0xB001, to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        assert len(list(find(association))) == 1


@pytest.mark.parametrize(("model", "code"), [(WORKLIST_FIND, 2016)])
def test_a_model_that_was_not_accepted(model: str, code: int) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        peer.end_well()

    with peer(script) as server, connect(server) as association, pytest.raises(RemoteFailed) as raised:
        next(find_scu.find(association, model, encode))
    assert (raised.value.code, raised.value.details) == (code, "Remote AET is PEER")


def test_whoever_has_enough_cancels_and_can_ask_again() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        for _number in range(10):
            peer.respond(PENDING, dataset=b"one", to=asked)
        cancel = peer.receive()
        assert (cancel.field, cancel.message_id) == (Field.C_CANCEL, asked.message_id)
        peer.respond(CANCELLED, to=asked)
        peer.respond(0, to=peer.receive())
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        with closing(find(association)) as matches:
            assert next(matches).dataset == b"one"
        assert association.is_usable
        assert list(find(association)) == []


def test_a_peer_that_goes_on_after_a_cancel_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.services.remote.exchange.CANCEL_LIMIT_S", 0.2)

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        peer.respond(PENDING, dataset=b"one", to=asked)
        peer.receive()
        peer.wait_until_gone()

    with peer(script) as server, connect(server) as association:
        with closing(find(association)) as matches:
            next(matches)
        assert not association.is_usable


# --- C-MOVE ---


def counts(*numbers: int) -> dict[Element, int | str]:
    return dict(zip(COUNTS, numbers, strict=False))


def test_the_counts_of_a_move_are_passed_on() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        assert (asked.field, asked.text(Element.MOVE_DESTINATION)) == (Field.C_MOVE, "THERE")
        peer.respond(PENDING, counts(1, 1, 0, 0), to=asked)
        peer.respond(PENDING, to=asked)
        peer.respond(0, {Element.COMPLETED_SUBOPERATIONS: 2}, to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        told = list(move(association))
    assert [(each.remaining, each.completed, each.failed, each.warnings) for each in told] == [
        (1, 1, 0, 0),
        (None, None, None, None),
        (None, 2, None, None),
    ]
    assert [each.is_last for each in told] == [False, False, True]


@pytest.mark.parametrize(
    ("status", "hint", "trouble"),
    [
        (0xB000, "", Trouble.FINAL),
        (0xA801, "", Trouble.FINAL),
        (0xA702, "", Trouble.BUSY),
        (0xC000, " (unable to process - resource not found ?)", Trouble.FINAL),
    ],
)
def test_a_failed_move_is_told_as_orthanc_does(status: int, hint: str, trouble: Trouble) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        peer.respond(status, counts(0, 1, 1, 0), b"failed list", to=peer.receive())
        peer.end_well()

    with peer(script) as server, connect(server) as association, pytest.raises(RemoteFailed) as raised:
        list(move(association))
    assert raised.value.details == f'C-MOVE SCU to AET "PEER" has failed with DIMSE status 0x{status:04X}{hint}'
    assert (raised.value.http_status, raised.value.trouble) == (500, trouble)


def test_an_interrupted_move_is_cancelled_on_the_way_out() -> None:
    interruption = Interruption()
    last: list[Command] = []

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        peer.respond(PENDING, counts(9, 1, 0, 0), to=peer.receive())
        last.append(peer.receive())
        assert peer.wait_until_gone() == [PduType.ABORT]

    with peer(script) as server, connect(server, interruption) as association:
        told = move(association)
        assert next(told).remaining == 9
        interruption.interrupt()
        with pytest.raises(Interrupted):
            next(told)
    assert last[0].field == Field.C_CANCEL


# --- C-GET ---


def send_instance(peer: Peer, number: int, dataset: bytes = b"dataset") -> Command:
    """A sub-operation; returns its response."""
    context = next(each.id for each in peer.request.contexts if each.abstract_syntax == CT) if peer.request else 0
    command: dict[Element, int | str] = {
        Element.AFFECTED_SOP_CLASS_UID: CT,
        Element.COMMAND_FIELD: Field.C_STORE,
        Element.MESSAGE_ID: number,
        Element.PRIORITY: 0,
        Element.DATA_SET_TYPE: 1,
        Element.AFFECTED_SOP_INSTANCE_UID: f"1.2.{number}",
    }
    peer.send(pdu.encode_p_data(context, encode_command(command), is_command=True, is_last=True))
    peer.send(pdu.encode_p_data(context, dataset, is_command=False, is_last=True))
    asked = peer.context_id
    response = peer.receive()
    assert (response.field, response.message_id) == (Field.C_STORE | RESPONSE, number)
    assert response.text(Element.AFFECTED_SOP_INSTANCE_UID) == f"1.2.{number}"
    peer.context_id = asked
    return response


def get(association: Association, receive: Callable[[Incoming], int]) -> list[Progress]:
    return list(get_scu.get(association, GET, encode, receive))


def test_instances_are_handed_on_and_answered() -> None:
    received = []

    def receive(incoming: Incoming) -> int:
        data = b"".join(bytes(part) for part in incoming.parts)
        received.append((incoming.sop_class, incoming.sop_instance, incoming.transfer_syntax, data))
        return 0

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept(roles=(pdu.Role(CT, is_scu=False, is_scp=True),))
        assert peer.request is not None
        assert peer.request.roles == (pdu.Role(CT, is_scu=False, is_scp=True),)
        asked = peer.receive()
        for number in (1, 2):
            assert send_instance(peer, number).number(Element.STATUS, -1) == 0
            peer.respond(PENDING, counts(2 - number, number, 0, 0), to=asked)
        peer.respond(0, counts(0, 2, 0, 0), to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        assert association.served == {CT}
        told = get(association, receive)
    assert received == [(CT, f"1.2.{number}", LE, b"dataset") for number in (1, 2)]
    assert [each.completed for each in told] == [1, 2, 2]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidDicom("bad"), 0xC000),
        (StorageFull("full"), 0xA700),
        (ScriptFailed("boom"), 0xA700),
        (StorageFailed("disk"), 0xA700),
        (OSError(5, "disk"), 0xA700),
        (OSError(30, "disk"), 0xA700),
        (OSError(24, "disk"), 0xA700),
    ],
)
def test_an_instance_that_cannot_be_stored_is_refused_and_read_over(error: Exception, status: int) -> None:
    def receive(_: Incoming) -> int:
        raise error

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept(roles=(pdu.Role(CT, is_scu=False, is_scp=True),))
        asked = peer.receive()
        assert send_instance(peer, 1, bytes(10_000)).number(Element.STATUS) == status
        peer.respond(0xB000, counts(0, 0, 1, 0), to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association, pytest.raises(RemoteFailed, match="0xB000"):
        get(association, receive)


def test_the_peer_is_told_the_status_that_a_filter_wants() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept(roles=(pdu.Role(CT, is_scu=False, is_scp=True),))
        asked = peer.receive()
        assert send_instance(peer, 1).number(Element.STATUS) == 0xC123
        peer.respond(0xB000, counts(0, 0, 1, 0), to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association, pytest.raises(RemoteFailed, match="0xB000"):
        get(association, lambda _: 0xC123)


def test_whoever_cancels_a_get_refuses_what_still_comes_so_that_the_peer_can_end() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept(roles=(pdu.Role(CT, is_scu=False, is_scp=True),))
        asked = peer.receive()
        assert send_instance(peer, 1).number(Element.STATUS, -1) == 0
        peer.respond(PENDING, counts(3, 1, 0, 0), to=asked)
        assert peer.receive().field == Field.C_CANCEL
        for number in (2, 3):  # under way, or begun by a peer that has not seen the cancel
            assert send_instance(peer, number, bytes(10_000)).number(Element.STATUS) == 0xA700
        peer.respond(CANCELLED, counts(1, 1, 2, 0), b"failed list", to=asked)
        peer.end_well()

    def receive(incoming: Incoming) -> int:
        taken.append(incoming.sop_instance)
        return 0 * sum(len(part) for part in incoming.parts)

    taken: list[str] = []
    with peer(script) as server, connect(server) as association:
        with closing(get_scu.get(association, GET, encode, receive)) as told:
            assert next(told).remaining == 3
        assert association.is_usable
    assert taken == ["1.2.1"]


def test_another_request_than_to_store_is_refused() -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        asked = peer.receive()
        command = encode_command({Element.COMMAND_FIELD: 0x0130, Element.MESSAGE_ID: 5, Element.DATA_SET_TYPE: 0x0101})
        peer.send(pdu.encode_p_data(peer.context_id, command, is_command=True, is_last=True))
        assert peer.receive().number(Element.STATUS) == 0x0211
        peer.respond(0, to=asked)
        peer.end_well()

    with peer(script) as server, connect(server) as association:
        get(association, lambda _: 0)


def test_a_connection_lost_in_the_middle_of_an_instance() -> None:
    def receive(incoming: Incoming) -> int:
        for _ in incoming.parts:
            pass
        return 0

    def script(peer: Peer, _: PeerServer) -> None:
        peer.accept()
        peer.receive()
        command = {Element.COMMAND_FIELD: Field.C_STORE, Element.MESSAGE_ID: 5, Element.DATA_SET_TYPE: 1}
        peer.send(pdu.encode_p_data(peer.context_id, encode_command({**command}), is_command=True, is_last=True))
        peer.send(pdu.encode_p_data(peer.context_id, b"begin", is_command=False, is_last=False))

    with peer(script) as server, connect(server) as association, pytest.raises(RemoteFailed) as raised:
        get(association, receive)
    assert raised.value.trouble is Trouble.UNREACHABLE
