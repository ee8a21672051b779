"""C-GET with an asker of raw PDUs: answers to sub-operations that cannot be believed, cancels at any moment, the counts behind them."""

import logging
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from actors.services.codecs.pool import CodecPool
from actors.wire.dicom.command import Command, Element, Field, encode_command
from actors.wire.dicom.pdu import encode_p_data
from api.dicom.get_scp import create_get_service
from api.dicom.service import Service
from store.dicom.identifier import decode_dataset, encode_dataset
from store.dicom.uids import STUDY_ROOT_GET
from tests.contract.dicom_scu import (
    Aborted,
    Accepted,
    Closed,
    Response,
    Scu,
    associate_request,
    item,
    user_information,
)
from tests.contract.retrieve_stage import fill, serving, study
from tests.contract.test_answers_believed import answer, us
from tests.dicom_bytes import MR, uid
from tools.server.core import Core

LITTLE = "1.2.840.10008.1.2.1"
COUNT = 6
QUERY_ID, STORE_ID = 1, 3  # of the contexts
ROLE = item(0x54, struct.pack(">H", len(MR)) + MR.encode() + b"\0\1")
COUNTS = (
    Element.REMAINING_SUBOPERATIONS,
    Element.COMPLETED_SUBOPERATIONS,
    Element.FAILED_SUBOPERATIONS,
    Element.WARNING_SUBOPERATIONS,
)
CANCEL = encode_command(
    {Element.COMMAND_FIELD: Field.C_CANCEL, Element.MESSAGE_ID_RESPONDED_TO: 7, Element.DATA_SET_TYPE: 0x0101}
)
OTHER_CANCEL = encode_command(
    {Element.COMMAND_FIELD: Field.C_CANCEL, Element.MESSAGE_ID_RESPONDED_TO: 8, Element.DATA_SET_TYPE: 0x0101}
)


@pytest.fixture
def service(archive: Core) -> Service:
    fill(archive, *study(1, 1, instances=COUNT))
    return create_get_service(archive.views, archive.blobs, CodecPool())


@dataclass
class Asker:
    """A C-GET of a study of six instances."""

    scu: Scu
    asked: list[str] = field(default_factory=list)  # SOP instances of the C-STORE requests so far
    request: Command | None = None  # the last one

    def ask(self, *behind: bytes) -> None:
        """Send the request, and commands behind it in the same packet."""
        command = encode_command(
            {
                Element.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_GET,
                Element.COMMAND_FIELD: Field.C_GET,
                Element.MESSAGE_ID: 7,
                Element.PRIORITY: 0,
                Element.DATA_SET_TYPE: 1,
            }
        )
        identifier = encode_dataset({0x00080052: "STUDY", 0x0020000D: uid(1, 1)}, LITTLE, "Ascii")
        sent = encode_p_data(QUERY_ID, command, is_command=True, is_last=True)
        sent += encode_p_data(QUERY_ID, identifier, is_command=False, is_last=True)
        self.scu.send(sent + b"".join(encode_p_data(QUERY_ID, each, is_command=True, is_last=True) for each in behind))

    def next(self) -> Command | None:
        """Wait for the next C-STORE with its dataset; None if the last response comes, which is kept in `request`."""
        while True:
            message = self.scu.receive()
            assert isinstance(message, Response), message
            self.request = message.command
            if message.command.field == Field.C_STORE:
                assert self.scu.receive_dataset()
                self.asked.append(message.command.text(Element.AFFECTED_SOP_INSTANCE_UID))
                return message.command
            if message.status != 0xFF00:
                return None

    def say(self, command: bytes, context_id: int = STORE_ID) -> None:
        self.scu.send(encode_p_data(context_id, command, is_command=True, is_last=True))

    def store_all(self, statuses: Sequence[int]) -> None:
        """Answer as many C-STOREs by these statuses."""
        for status in statuses:
            asked = self.next()
            assert asked is not None
            self.say(answer(asked, {}, status))

    def end(self) -> tuple[int, tuple[int | None, ...], list[str]]:
        """The last response: status, the counts, and what is named as failed."""
        assert self.next() is None
        last = self.request
        assert last is not None
        counts = tuple(last.number(each) if each in last.elements else None for each in COUNTS)
        failed: list[str] = []
        if last.has_dataset:
            listed = decode_dataset(self.scu.receive_dataset(), LITTLE, "Ascii")[0].get(0x00080058)
            assert isinstance(listed, str)
            failed = listed.split("\\")
        return last.number(Element.STATUS), counts, failed


@contextmanager
def asking(service: Service) -> Iterator[Asker]:
    with serving(service) as port, Scu(port) as scu:
        contexts = [(QUERY_ID, STUDY_ROOT_GET, (LITTLE,)), (STORE_ID, MR, (LITTLE,)), (5, MR, (LITTLE,))]
        accepted = scu.ask(associate_request(contexts, called="OURS", user=user_information(extra=ROLE)))
        assert isinstance(accepted, Accepted)
        yield Asker(scu)


# --- answers that cannot be believed ---

DOUBTFUL: dict[str, Mapping[int, bytes | None]] = {
    "no status": {Element.STATUS: None},
    "an empty status": {Element.STATUS: b""},
    "a status of one byte": {Element.STATUS: b"\0"},
    "a status of four bytes": {Element.STATUS: bytes(4)},
    "another instance": {Element.AFFECTED_SOP_INSTANCE_UID: b"1.2.3\0"},
    "another class": {Element.AFFECTED_SOP_CLASS_UID: b"1.2.3\0"},
    "pending": {Element.STATUS: us(0xFF00)},
}


@pytest.mark.parametrize("doubtful", DOUBTFUL)
def test_an_answer_that_cannot_be_believed_is_a_failed_sub_operation(service: Service, doubtful: str) -> None:
    with asking(service) as asker:
        asker.ask()
        asker.store_all([0])
        asked = asker.next()
        assert asked is not None
        asker.say(answer(asked, DOUBTFUL[doubtful]))
        asker.store_all([0] * 4)
        assert asker.end() == (0xB000, (None, 5, 1, 0), [asker.asked[1]])


@pytest.mark.parametrize(
    ("changes", "context_id"),
    [
        ({Element.MESSAGE_ID_RESPONDED_TO: None}, STORE_ID),
        ({Element.MESSAGE_ID_RESPONDED_TO: us(99)}, STORE_ID),
        ({Element.COMMAND_FIELD: us(0x8020)}, STORE_ID),
        ({}, 5),
    ],
    ids=["to no message", "to another message", "of another kind", "in another context"],
)
def test_what_answers_something_else_ends_the_association(
    service: Service, changes: Mapping[int, bytes | None], context_id: int
) -> None:
    with asking(service) as asker:
        asker.ask()
        asked = asker.next()
        assert asked is not None
        asker.say(answer(asked, changes), context_id)
        assert isinstance(asker.scu.receive(), Aborted)


# --- cancels ---


def test_a_cancel_in_one_piece_with_the_request_leaves_everything_to_do(service: Service) -> None:
    with asking(service) as asker:
        asker.ask(CANCEL)
        assert asker.end() == (0xFE00, (COUNT, 0, 0, 0), [])


@pytest.mark.parametrize("is_before_the_answer", [True, False])
def test_a_cancel_counts_what_was_done_and_names_what_has_failed(
    service: Service, *, is_before_the_answer: bool
) -> None:
    with asking(service) as asker:
        asker.ask()
        asker.store_all([0, 0xA700, 0xB000])
        asked = asker.next()
        assert asked is not None
        parts = [answer(asked, {}, 0xC123)]
        parts.insert(0 if is_before_the_answer else 1, CANCEL)
        # In one packet: a cancel behind the answer is otherwise found by the next sub-operation or by the one after it.
        asker.scu.send(b"".join(encode_p_data(STORE_ID, part, is_command=True, is_last=True) for part in parts))
        assert asker.end() == (0xFE00, (2, 1, 2, 1), [asker.asked[1], asker.asked[3]])


def test_a_cancel_of_another_request_stops_nothing(service: Service) -> None:
    with asking(service) as asker:
        asker.ask()
        asker.store_all([0, 0])
        asker.say(OTHER_CANCEL, QUERY_ID)
        asker.store_all([0] * 4)
        assert asker.end() == (0, (None, COUNT, 0, 0), [])


@pytest.mark.parametrize(("last", "expected"), [(0, (0, (None, 6, 0, 0))), (0xA700, (0xB000, (None, 5, 1, 0)))])
def test_a_cancel_in_the_last_sub_operation_has_nothing_to_stop(
    service: Service, last: int, expected: tuple[int, tuple[int | None, ...]]
) -> None:
    with asking(service) as asker:
        asker.ask()
        asker.store_all([0] * 5)
        asked = asker.next()
        assert asked is not None
        asker.say(CANCEL, QUERY_ID)
        asker.say(answer(asked, {}, last))
        assert asker.end() == (*expected, [asker.asked[5]] if last else [])


def test_another_retrieval_follows_a_cancelled_one(service: Service) -> None:
    with asking(service) as asker:
        asker.ask(CANCEL)
        assert asker.end()[0] == 0xFE00
        asker.ask()
        asker.store_all([0] * COUNT)
        assert asker.end() == (0, (None, COUNT, 0, 0), [])


# --- ends during a retrieval ---


@pytest.mark.parametrize(
    "last_words", [b"", b"\7\0\0\0\0\4\0\0\0\0", b"\5\0\0\0\0\4\0\0\0\0"], ids=["gone", "abort", "release"]
)
def test_the_counts_of_an_association_that_ends_in_the_middle_are_logged(
    service: Service, caplog: pytest.LogCaptureFixture, last_words: bytes
) -> None:
    with caplog.at_level(logging.WARNING), asking(service) as asker:
        asker.ask()
        asker.store_all([0, 0xA700])
        assert asker.next() is not None
        asker.scu.send(last_words)
        asker.scu.socket.shutdown(1)  # nothing more is sent; what comes is read to its end
        while not isinstance(asker.scu.receive(), Closed):
            pass
    assert (
        "C-GET: the association ended during the retrieval: 1 completed, 1 failed, 0 with warnings, 4 remaining"
        in caplog.text
    )
