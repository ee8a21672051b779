"""Answers that lack what the standard demands, or contradict the request: a failure for every service, never a success.

PS3.7 §9.3: an answer has a status and says which message it answers; UIDs need not be repeated, but not be others either.
"""

import contextlib
import struct
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from actors.services.remote import echo_scu, find_scu, get_scu, move_scu
from actors.services.remote.association import Association
from actors.services.remote.get_scu import Incoming
from actors.services.remote.requestor import Proposal, open_association
from actors.services.remote.store_scu import check, store
from actors.wire.dicom import pdu
from actors.wire.dicom.command import Command, Element, Field
from actors.wire.errors import RemoteFailed
from actors.wire.interruption import Interruption
from store.dicom.uids import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from tests.contract.remote_peer import Gone, Peer, PeerServer, peer
from tests.contract.test_remote_exchanges import counts, send_instance

LE = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
INSTANCE = "1.2.3.4"
PENDING = 0xFF00
FAILED, REMAINING = Element.FAILED_SUBOPERATIONS, Element.REMAINING_SUBOPERATIONS
ROLES = (pdu.Role(CT, is_scu=True, is_scp=True),)
PROPOSALS = [
    echo_scu.PROPOSAL,
    Proposal(STUDY_ROOT_FIND, (LE,)),
    Proposal(STUDY_ROOT_MOVE, (LE,)),
    *get_scu.proposals([(CT, [LE])]),
]


def encode(_transfer_syntax: str) -> bytes:
    return b"identifier"


def receive(incoming: Incoming) -> int:
    for _ in incoming.parts:
        pass
    return 0


def run_store(association: Association) -> None:
    context = association.context_for(CT)
    check(association, store(association, context, INSTANCE, memoryview(b"dataset")))


Run = Callable[[Association], Any]
SERVICES: dict[str, Run] = {
    "echo": echo_scu.echo,
    "store": run_store,
    "find": lambda association: list(find_scu.find(association, STUDY_ROOT_FIND, encode)),
    "move": lambda association: list(move_scu.move(association, STUDY_ROOT_MOVE, encode, "THERE")),
    "get": lambda association: list(get_scu.get(association, STUDY_ROOT_GET, encode, receive)),
}
RETRIEVALS = ("move", "get")


def us(value: int) -> bytes:
    return struct.pack("<H", value)


def answer(asked: Command, changes: Mapping[int, bytes | None], status: int = 0) -> bytes:
    """A response of raw elements; None leaves one out."""
    elements: dict[int, bytes | None] = {
        Element.AFFECTED_SOP_CLASS_UID: asked.elements[Element.AFFECTED_SOP_CLASS_UID],
        Element.COMMAND_FIELD: us(asked.field | 0x8000),
        Element.MESSAGE_ID_RESPONDED_TO: us(asked.message_id),
        Element.DATA_SET_TYPE: us(0x0101),
        Element.STATUS: us(status),
    }
    if Element.AFFECTED_SOP_INSTANCE_UID in asked.elements:
        elements[Element.AFFECTED_SOP_INSTANCE_UID] = asked.elements[Element.AFFECTED_SOP_INSTANCE_UID]
    elements.update(changes)
    body = b"".join(
        struct.pack("<HHI", 0, element, len(value)) + value
        for element, value in sorted(elements.items())
        if value is not None
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def say(there: Peer, command: bytes, dataset: bytes = b"", context_id: int = 0) -> None:
    where = context_id or there.context_id
    there.send(pdu.encode_p_data(where, command, is_command=True, is_last=True))
    if dataset:
        there.send(pdu.encode_p_data(where, dataset, is_command=False, is_last=True))


def finish(there: Peer) -> None:
    """Read to the end; take part in a release."""
    with contextlib.suppress(Gone):
        while there.receive_pdu()[0] != pdu.PduType.RELEASE_RQ:
            pass
        there.send(pdu.encode_release_reply())


def ask(service: str | Run, respond: Callable[[Peer, Command], None]) -> None:
    """Ask a peer that answers as told. Raises what the service raises."""

    def script(there: Peer, _: PeerServer) -> None:
        there.accept(roles=ROLES)
        respond(there, there.receive())
        finish(there)

    with peer(script) as server, open_association(server.target(), PROPOSALS, Interruption()) as association:
        (SERVICES[service] if isinstance(service, str) else service)(association)


STATUSES: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "of one byte": b"\0",
    "of three bytes": b"\0\0\0",
    "of four bytes": b"\0\0\0\0",
    "of two values": us(0) + us(0),
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("status", STATUSES)
def test_an_answer_without_a_whole_status_is_a_failure(service: str, status: str) -> None:
    changes: dict[int, bytes | None] = {Element.STATUS: STATUSES[status]}
    with pytest.raises(RemoteFailed, match="without a status of two bytes"):
        ask(service, lambda there, asked: say(there, answer(asked, changes)))


OTHERS: dict[str, dict[int, bytes | None]] = {
    "to no message": {Element.MESSAGE_ID_RESPONDED_TO: None},
    "to an empty message": {Element.MESSAGE_ID_RESPONDED_TO: b""},
    "to message of four bytes": {Element.MESSAGE_ID_RESPONDED_TO: us(1) + us(0)},
    "to another message": {Element.MESSAGE_ID_RESPONDED_TO: us(2)},
    "of no kind": {Element.COMMAND_FIELD: None},
    "of another kind": {Element.COMMAND_FIELD: us(0x8100)},
    "that is a request": {Element.COMMAND_FIELD: us(Field.N_ACTION), Element.MESSAGE_ID: None},
    "without a dataset type": {Element.DATA_SET_TYPE: None},
    "about another class": {Element.AFFECTED_SOP_CLASS_UID: b"1.2.3\0"},
    "about the beginning of the class": {Element.AFFECTED_SOP_CLASS_UID: b"1.2.840.10008\0"},
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("other", OTHERS)
def test_an_answer_to_something_else_is_a_failure(service: str, other: str) -> None:
    with pytest.raises(RemoteFailed, match="Peer broke the protocol"):
        ask(service, lambda there, asked: say(there, answer(asked, OTHERS[other])))


@pytest.mark.parametrize("service", SERVICES)
def test_an_answer_in_another_context_is_a_failure(service: str) -> None:
    def respond(there: Peer, asked: Command) -> None:
        assert there.request is not None
        elsewhere = next(each.id for each in there.request.contexts if each.id != there.context_id)
        say(there, answer(asked, {}), context_id=elsewhere)

    with pytest.raises(RemoteFailed, match="does not answer"):
        ask(service, respond)


@pytest.mark.parametrize("service", SERVICES)
def test_a_status_that_is_there_twice_is_a_failure(service: str) -> None:
    doubled = struct.pack("<HHIH", 0, Element.STATUS, 2, 0xA700)

    def respond(there: Peer, asked: Command) -> None:
        body = answer(asked, {})[12:] + doubled
        say(there, struct.pack("<HHII", 0, 0, 4, len(body)) + body)

    with pytest.raises(RemoteFailed, match="there twice"):
        ask(service, respond)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("status", [0x0001, 0x0110, 0x0122, 0xA700, 0xB123, 0xC000, 0xFE00, 0x00FF])
def test_a_status_that_is_no_success_of_the_service_is_a_failure(service: str, status: int) -> None:
    with pytest.raises(RemoteFailed, match=f"0x{status:04X}"):
        ask(service, lambda there, asked: say(there, answer(asked, {}, status)))


@pytest.mark.parametrize("service", ["echo", "store"])
@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
def test_what_is_answered_once_cannot_be_pending(service: str, status: int) -> None:
    with pytest.raises(RemoteFailed, match="more to come"):
        ask(service, lambda there, asked: say(there, answer(asked, {}, status)))


@pytest.mark.parametrize("service", ["echo", "store"])
def test_what_is_answered_without_a_dataset_announces_none(service: str) -> None:
    with pytest.raises(RemoteFailed, match="more to come"):
        ask(service, lambda there, asked: say(there, answer(asked, {Element.DATA_SET_TYPE: us(1)})))


def test_an_answer_about_another_instance_does_not_say_that_ours_is_stored() -> None:
    for other in (b"1.2.3\0", b"1.2.3.40", b"1.2.3.4.5\0"):
        changes = {Element.AFFECTED_SOP_INSTANCE_UID: other}
        with pytest.raises(RemoteFailed, match="another SOP class or instance"):
            ask("store", lambda there, asked, changes=changes: say(there, answer(asked, changes)))  # type: ignore[misc]


UNDEMANDED: dict[str, dict[int, bytes | None]] = {
    "without its class": {Element.AFFECTED_SOP_CLASS_UID: None},
    "with an empty class": {Element.AFFECTED_SOP_CLASS_UID: b""},
    "without its instance": {Element.AFFECTED_SOP_INSTANCE_UID: None},
    "with an empty instance": {Element.AFFECTED_SOP_INSTANCE_UID: b""},
    "with a comment": {Element.ERROR_COMMENT: b"fine"},
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("undemanded", UNDEMANDED)
def test_what_the_standard_does_not_demand_may_be_missing(service: str, undemanded: str) -> None:
    ask(service, lambda there, asked: say(there, answer(asked, UNDEMANDED[undemanded])))


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0111])
def test_an_instance_that_is_stored_with_a_warning_is_stored(status: int) -> None:
    ask("store", lambda there, asked: say(there, answer(asked, {}, status)))


def test_an_instance_padded_as_texts_are_is_the_same() -> None:
    ask("store", lambda there, asked: say(there, answer(asked, {Element.AFFECTED_SOP_INSTANCE_UID: b"1.2.3.4 "})))


# --- responses that are not the only one ---


def test_an_answer_to_a_query_without_its_identifier_is_a_failure() -> None:
    def respond(there: Peer, asked: Command) -> None:
        say(there, answer(asked, {}, PENDING))
        say(there, answer(asked, {}))

    with pytest.raises(RemoteFailed, match="without its identifier"):
        ask("find", respond)


@pytest.mark.parametrize("dataset", [b"", b"identifier"], ids=["announced", "sent"])
def test_the_end_of_a_query_is_believed_whatever_is_announced_behind_it(dataset: bytes) -> None:
    # So Orthanc 1.12.7: all answers are there by then.
    ask("find", lambda there, asked: say(there, answer(asked, {Element.DATA_SET_TYPE: us(1)}), dataset))


@pytest.mark.parametrize("service", RETRIEVALS)
@pytest.mark.parametrize("count", [FAILED, REMAINING])
def test_a_success_of_which_something_is_missing_is_a_failure(service: str, count: Element) -> None:
    with pytest.raises(RemoteFailed, match="counted as failed or remaining"):
        ask(service, lambda there, asked: say(there, answer(asked, {count: us(3)})))


@pytest.mark.parametrize("service", RETRIEVALS)
def test_counts_that_are_empty_or_absent_are_not_demanded(service: str) -> None:
    ask(service, lambda there, asked: say(there, answer(asked, {FAILED: b"", REMAINING: us(0)})))


def test_a_second_answer_spoils_the_next_request_and_no_more() -> None:
    def script(there: Peer, _: PeerServer) -> None:
        there.accept(roles=ROLES)
        asked = there.receive()
        say(there, answer(asked, {}))
        say(there, answer(asked, {}, 0xA700))
        finish(there)

    with peer(script) as server, open_association(server.target(), PROPOSALS, Interruption()) as association:
        run_store(association)
        with pytest.raises(RemoteFailed, match="does not answer the C-STORE"):
            run_store(association)
        assert not association.is_usable


@pytest.mark.parametrize("service", ["find", "move", "get"])
def test_a_dataset_in_another_context_than_its_command_is_a_failure(service: str) -> None:
    def respond(there: Peer, asked: Command) -> None:
        assert there.request is not None
        elsewhere = next(each.id for each in there.request.contexts if each.id != there.context_id)
        say(there, answer(asked, {Element.DATA_SET_TYPE: us(1)}, PENDING))
        there.send(pdu.encode_p_data(elsewhere, b"dataset", is_command=False, is_last=True))

    with pytest.raises(RemoteFailed, match="another message inside a dataset"):
        ask(service, respond)


# --- C-GET: what has arrived here counts, not what the peer says of it ---


def get_all(counted: dict[Element, int | str], status_here: int, sent: int) -> None:
    def respond(there: Peer, asked: Command) -> None:
        for number in range(sent):
            send_instance(there, number + 1)
        there.respond(0, counted, to=asked)

    def receive(incoming: Incoming) -> int:
        for _ in incoming.parts:
            pass
        return status_here

    ask(lambda association: list(get_scu.get(association, STUDY_ROOT_GET, encode, receive)), respond)


@pytest.mark.parametrize(
    ("counted", "status_here", "sent"),
    [
        (counts(0, 3, 0, 0), 0, 2),
        (counts(0, 1, 0, 0), 0, 0),
        (counts(0, 1, 0, 2), 0, 2),
        (counts(0, 2, 0, 0), 0xC000, 2),
        ({}, 0xA700, 1),
    ],
    ids=["one is missing", "nothing has come", "warnings count", "all were refused", "refused and not counted"],
)
def test_a_success_that_is_none_here_is_a_failure(
    counted: dict[Element, int | str], status_here: int, sent: int
) -> None:
    with pytest.raises(RemoteFailed, match="have arrived"):
        get_all(counted, status_here, sent)


@pytest.mark.parametrize(
    ("counted", "status_here", "sent"),
    [(counts(0, 2, 0, 0), 0, 2), ({}, 0, 2), (counts(0, 0, 0, 2), 0xB000, 2), (counts(0, 0, 0, 0), 0, 0)],
    ids=["all", "not counted", "with warnings", "nothing to send"],
)
def test_a_success_that_is_one_here_is_a_success(
    counted: dict[Element, int | str], status_here: int, sent: int
) -> None:
    get_all(counted, status_here, sent)


# --- ends during a retrieval ---

ENDS: dict[str, tuple[bytes, str]] = {
    "a release": (pdu.encode_release_request(), "Peer released"),
    "an abort": (pdu.encode_abort(None), "Peer aborted"),
    "half a PDU": (b"\4\0\0\0\1\0\0\0", "Connection lost"),
    "another PDU": (pdu.encode_release_reply(), "broke the protocol"),
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_association_before_the_answer_is_a_failure(service: str, end: str) -> None:
    sent, expected = ENDS[end]

    def script(there: Peer, _: PeerServer) -> None:
        there.accept(roles=ROLES)
        there.receive()
        there.send(sent)

    with (
        peer(script) as server,
        open_association(server.target(), PROPOSALS, Interruption()) as association,
        pytest.raises(RemoteFailed, match=expected),
    ):
        SERVICES[service](association)


@pytest.mark.parametrize("service", SERVICES)
def test_silence_instead_of_the_answer_is_a_failure(service: str) -> None:
    def script(there: Peer, _: PeerServer) -> None:
        there.accept(roles=ROLES)
        there.receive()
        there.wait_until_gone()

    with (
        peer(script) as server,
        open_association(server.target(timeout_s=1), PROPOSALS, Interruption()) as association,
        pytest.raises(RemoteFailed, match="Timeout"),
    ):
        SERVICES[service](association)
