"""The upper layer of one connection: its states, its PDUs, messages in fragments (PS3.8 §9.2, PS3.7 §6.3).

Of the standard's states one that blocks needs few; the table says which PDUs each may meet:

    acceptor    AWAITING_REQUEST --A-ASSOCIATE-RQ--> OPEN --A-RELEASE-RQ--> CLOSING
    requestor    AWAITING_ANSWER --A-ASSOCIATE-AC--> OPEN --our release---> RELEASING --A-RELEASE-RP--> CLOSING
    either               reject, abort, time-out: from anywhere to CLOSING

Any other PDU, a broken one or silence beyond the limit ends the association. Fragments of a dataset are handed on as
they come, in views of the receive buffer: the memory an association needs does not depend on what is sent.
"""

import contextlib
import struct
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from itertools import chain

from actors.wire.dicom import pdu
from actors.wire.dicom.command import Command, Field, decode_command
from actors.wire.dicom.connection import PARTS_AT_ONCE, Connection
from actors.wire.dicom.ending import AbortReason, ConnectionLost, PeerAborted, PeerSilent, Released, Violation
from actors.wire.dicom.pdu import Acceptance, AssociateRequest, Context, PduType, Rejection
from store.dicom.mapped import LET_GO_BYTES, let_go

REQUEST_LIMIT_BYTES = 1 << 20  # 128 contexts of 64 syntaxes each are 0.6 MB
COMMAND_LIMIT_BYTES = 1 << 16
SENT_PDU_LIMIT_BYTES = 1 << 17  # to a peer that names no limit
GATHERED_BYTES = 1 << 16  # of small messages that leave together
LINGER_S = 5.0  # for the peer to close after the last PDU

_PDU_HEADER = struct.Struct(">BxI")
_FRAGMENT_HEADER = struct.Struct(">IBB")
_COMMAND_FLAG, _LAST_FLAG = 1, 2
_ABORT_BYTES, _BY_PROVIDER = 4, 2
_PDU_TYPES = {int(kind): kind for kind in PduType}  # a tenth of the price of PduType(number)


class State(Enum):
    AWAITING_REQUEST = auto()  # Sta2
    AWAITING_ANSWER = auto()  # Sta5
    OPEN = auto()  # Sta6
    RELEASING = auto()  # Sta7
    CLOSING = auto()  # Sta13


_EXPECTED = {
    State.AWAITING_REQUEST: frozenset({PduType.ASSOCIATE_RQ, PduType.ABORT}),
    State.AWAITING_ANSWER: frozenset({PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ, PduType.ABORT}),
    State.OPEN: frozenset({PduType.P_DATA, PduType.RELEASE_RQ, PduType.ABORT}),
    State.RELEASING: frozenset({PduType.P_DATA, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT}),
    State.CLOSING: frozenset[PduType](),
}


class UpperLayer:
    """Reads and writes one connection's PDUs. What it raises is an `AssociationEnded`. For one thread at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._state = State.AWAITING_REQUEST
        self._contexts: dict[int, Context] = {}
        self._received_limit = 0  # of a P-DATA PDU's length
        self._sent_limit = 0  # of a fragment's
        self._pdu_left = 0  # bytes of the current P-DATA PDU not yet read
        self._awaited: Context | None = None  # context of a message not yet read to its end
        self._cancelled: set[int] = set()

    # --- beginning and end ---

    def receive_request(self) -> AssociateRequest:
        kind, length = self._read_header()
        if kind is PduType.ABORT:
            raise self._read_abort(length)
        if length > REQUEST_LIMIT_BYTES:
            raise Violation(AbortReason.INVALID_PARAMETER, f"an A-ASSOCIATE-RQ of {length} bytes")
        return pdu.decode_associate_request(self._connection.take_all(length))

    def open(self, answer: bytes, contexts: dict[int, Context], *, received_limit: int, sent_limit: int) -> None:
        """Send the acceptance; from now on messages flow. The limits are of the P-DATA PDUs; `sent_limit` 0: none."""
        self._connection.send(answer)
        self.agree(contexts, received_limit=received_limit, sent_limit=sent_limit)

    def request(self, request: bytes) -> Acceptance | Rejection:
        """Send an A-ASSOCIATE-RQ and wait for its answer; after an acceptance the requestor must `agree`."""
        self._state = State.AWAITING_ANSWER
        self._connection.send(request)
        kind, length = self._read_header()
        if kind is PduType.ABORT:
            raise self._read_abort(length)
        if length > REQUEST_LIMIT_BYTES:
            raise Violation(AbortReason.INVALID_PARAMETER, f"an answer of {length} bytes")
        body = self._connection.take_all(length)
        return pdu.decode_associate_accept(body) if kind is PduType.ASSOCIATE_AC else pdu.decode_associate_reject(body)

    def agree(self, contexts: dict[int, Context], *, received_limit: int, sent_limit: int) -> None:
        """Let messages flow; the limits as for `open`."""
        self._contexts = contexts
        self._received_limit = received_limit
        self._sent_limit = max(min(sent_limit or SENT_PDU_LIMIT_BYTES, SENT_PDU_LIMIT_BYTES) - 6 & ~1, 2)
        self._state = State.OPEN

    def release(self) -> None:
        """Ask the peer for the end and wait until it agrees; what it still sends is read over (PS3.8 §7.2)."""
        self._connection.send(pdu.encode_release_request())
        self._state = State.RELEASING
        while True:
            kind, length = self._read_header()
            if kind is PduType.RELEASE_RQ:  # both asked at once: the requestor answers, and waits on
                self._connection.send(pdu.encode_release_reply())
            for _ in self._read_over(length):
                pass
            if kind in {PduType.RELEASE_RP, PduType.ABORT}:
                self._state = State.CLOSING
                return

    def abort(self, last: bytes) -> None:
        """Send a last PDU, once, if the connection takes it without waiting; nothing more is read or sent."""
        if self._state is not State.CLOSING:
            self._state = State.CLOSING
            self._connection.send_now(last)

    def _read_over(self, length: int) -> Iterator[memoryview]:
        while length:
            part = self._connection.take_some(length)
            length -= len(part)
            yield part

    def end(self, last: bytes, linger_s: float = LINGER_S) -> None:
        """Send a last PDU, if the peer still takes it, and wait a little for it to close."""
        self._state = State.CLOSING
        with contextlib.suppress(ConnectionLost, PeerSilent):
            self._connection.send(last)
            self._connection.finish(linger_s)

    # --- messages ---

    @property
    def is_between_messages(self) -> bool:
        """Whether all that was announced has been read."""
        return self._awaited is None and not self._pdu_left

    def wait(self) -> None:
        """Wait for the next PDU to begin."""
        if not self._pdu_left:
            self._connection.peek(1)

    def read_command(self) -> tuple[Context, Command]:
        """The next message's command; a dataset it announces is for `read_dataset`."""
        context, flags, data = self._read_command_fragment()
        parts, size = [data], len(data)
        while not flags & _LAST_FLAG:
            self._awaited = context
            next_context, flags, data = self._read_command_fragment()
            size += len(data)
            if next_context is not context or size > COMMAND_LIMIT_BYTES:
                raise Violation(AbortReason.INVALID_PARAMETER, f"a command set in two contexts, or of {size} bytes")
            parts.append(data)
        command = decode_command(b"".join(parts))
        self._awaited = context if command.has_dataset else None
        return context, command

    def _read_command_fragment(self) -> tuple[Context, int, bytes]:
        context, flags, length = self._read_fragment_header()
        if not flags & _COMMAND_FLAG:
            raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a dataset without command")
        if length > COMMAND_LIMIT_BYTES:
            raise Violation(AbortReason.INVALID_PARAMETER, f"a command set of {length} bytes")
        return context, flags, bytes(self._connection.take(length))

    def read_dataset(self) -> Iterator[memoryview]:
        """What is left of the dataset, as it comes; a view is valid until the next one is asked for."""
        expected = self._awaited
        is_last = expected is None
        while not is_last:
            context, flags, length = self._read_fragment_header()
            if flags & _COMMAND_FLAG or context is not expected:
                raise Violation(AbortReason.UNEXPECTED_PARAMETER, "another message inside a dataset")
            is_last = bool(flags & _LAST_FLAG)
            while length:
                part = self._connection.take_some(length)
                length -= len(part)
                yield part
        self._awaited = None

    def send(self, context: Context, command: bytes, dataset: Iterable[bytes] = ()) -> None:
        """Send a message; its dataset in pieces of any size, none if there are no pieces."""
        self.send_all(context, ((command, dataset),))

    def send_large(
        self, context: Context, command: bytes, dataset: memoryview, before_last: Callable[[], None] | None = None
    ) -> None:
        """Send a message with a dataset that is all there: nothing is copied, and few system calls are made.

        `before_last` is called when all but the last fragment has been sent; what it raises leaves the message broken.
        """
        limit = self._sent_limit
        parts: list[bytes | memoryview] = list(self._fragments(context, (command,), is_command=True))
        last = max(len(dataset) - 1, 0) // limit * limit
        held = 0  # up to where a mapped dataset has been let go
        for start in range(0, last + 1, limit):
            if start == last and before_last is not None:
                if start:  # a dataset of one fragment leaves with its command, in one packet
                    self._connection.send_parts(parts)
                    parts = []
                before_last()
            fragment = dataset[start : start + limit]
            parts += (
                pdu.p_data_header(context.id, len(fragment), is_command=False, is_last=start == last),
                fragment,
            )
            if len(parts) >= PARTS_AT_ONCE - 1:
                self._connection.send_parts(parts)
                parts = []
                if start - held >= LET_GO_BYTES:
                    let_go(dataset)
                    held = start
        if parts:
            self._connection.send_parts(parts)

    def send_all(self, context: Context, messages: Iterable[tuple[bytes, Iterable[bytes]]]) -> None:
        """Send messages one behind the other, small ones in one go."""
        gathered = bytearray()
        for command, dataset in messages:
            fragments = self._fragments(context, (command,), is_command=True)
            for part in chain(fragments, self._fragments(context, dataset, is_command=False)):
                gathered += part
                if len(gathered) >= GATHERED_BYTES:
                    self._connection.send(gathered)
                    gathered = bytearray()
        if gathered:
            self._connection.send(gathered)

    def _fragments(self, context: Context, pieces: Iterable[bytes], *, is_command: bool) -> Iterator[bytes]:
        limit = self._sent_limit
        pending = b""
        for piece in pieces:
            pending += piece
            while len(pending) > limit:
                fragment, pending = pending[:limit], pending[limit:]
                yield pdu.encode_p_data(context.id, fragment, is_command=is_command, is_last=False)
        if pending:
            yield pdu.encode_p_data(context.id, pending, is_command=is_command, is_last=True)

    def is_cancelled(self, message_id: int) -> bool:
        """Whether a C-CANCEL for this request, which is being served, has arrived. Does not wait."""
        if not self._is_whole_pdu_buffered():
            self._connection.receive_now()
        while self._is_whole_pdu_buffered():
            _, command = self.read_command()
            if command.field != Field.C_CANCEL:
                raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a request before the last one is answered")
            self._cancelled.add(command.message_id)
        return message_id in self._cancelled

    def forget_cancels(self) -> None:
        """The request is answered: its identifier may be used again."""
        self._cancelled.clear()

    def _is_whole_pdu_buffered(self) -> bool:
        if self._pdu_left or self._connection.buffered < _PDU_HEADER.size:
            return bool(self._pdu_left)
        _, length = _PDU_HEADER.unpack(self._connection.peek(_PDU_HEADER.size))
        if length > COMMAND_LIMIT_BYTES:  # it might never fit the buffer, and a thread that waits for it would spin
            raise Violation(AbortReason.INVALID_PARAMETER, f"a C-CANCEL of {length} bytes")
        return self._connection.buffered >= _PDU_HEADER.size + int(length)

    # --- PDUs ---

    def _read_header(self) -> tuple[PduType, int]:
        number, length = _PDU_HEADER.unpack(self._connection.take(_PDU_HEADER.size))
        kind = _PDU_TYPES.get(number)
        if kind is None:
            raise Violation(AbortReason.UNRECOGNIZED_PDU, "an unknown PDU")
        if kind not in _EXPECTED[self._state]:
            raise Violation(AbortReason.UNEXPECTED_PDU, f"an unexpected PDU: {kind.name}")
        return kind, length

    def _read_abort(self, length: int) -> PeerAborted:
        """Who aborts and why; a peer that left without an A-ABORT counts as aborting."""
        if length != _ABORT_BYTES:
            return PeerAborted()
        with contextlib.suppress(ConnectionLost, PeerSilent):
            _, _, source, reason = self._connection.take(length)
            return PeerAborted(reason if source == _BY_PROVIDER else None)
        return PeerAborted()

    def _read_fragment_header(self) -> tuple[Context, int, int]:
        """The context, the flags and the length of the next fragment; its bytes follow."""
        while not self._pdu_left:
            self._read_p_data_header()
        if self._pdu_left < _FRAGMENT_HEADER.size:
            raise Violation(AbortReason.INVALID_PARAMETER, "a P-DATA PDU too short for a fragment")
        length, context_id, flags = _FRAGMENT_HEADER.unpack(self._connection.take(_FRAGMENT_HEADER.size))
        self._pdu_left -= length + 4
        if length < 2 or self._pdu_left < 0:
            raise Violation(AbortReason.INVALID_PARAMETER, "a fragment that does not fit its PDU")
        context = self._contexts.get(context_id)
        if context is None:
            raise Violation(AbortReason.INVALID_PARAMETER, "a presentation context that was not accepted")
        return context, flags, length - 2

    def _read_p_data_header(self) -> None:
        kind, length = self._read_header()
        if kind is PduType.ABORT:
            raise self._read_abort(length)
        if kind is PduType.RELEASE_RQ:
            if self._awaited is not None:
                raise Violation(AbortReason.UNEXPECTED_PDU, "a release inside a message")
            raise Released
        if length > self._received_limit:
            raise Violation(AbortReason.INVALID_PARAMETER, "a P-DATA PDU longer than agreed")
        self._pdu_left = length
