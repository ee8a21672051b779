"""One association, as its acceptor: the upper layer's states, messages in fragments, dispatch to services (PS3.8 §9.2).

A thread of its own reads, serves one request after another and answers. Of the standard's states an acceptor that
blocks needs four; the table says which PDUs each may meet:

    AWAITING_REQUEST --A-ASSOCIATE-RQ--> OPEN --A-RELEASE-RQ--> CLOSING
           |                              |                        ^
           +--- reject, abort ------------+--- abort, time-out ----+

Any other PDU, a broken one or silence beyond the limit leads to A-ABORT and CLOSING. Fragments of a dataset are handed
on as they come, in views of the receive buffer: the memory an association needs does not depend on what is sent.
"""

import contextlib
import logging
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from enum import Enum, auto

from api.dicom import pdu
from api.dicom.access import is_allowed
from api.dicom.command import Command, Field, decode_command
from api.dicom.connection import Connection
from api.dicom.ending import (
    AbortReason,
    ConnectionLost,
    PeerAborted,
    PeerSilent,
    Refusal,
    Released,
    Violation,
    log_fault,
)
from api.dicom.negotiation import LOCAL_LIMIT_EXCEEDED, Agreement, Context, negotiate
from api.dicom.pdu import AssociateRequest, PduType, Rejection
from api.dicom.services import Services
from api.dicom.settings import DicomSettings

REQUEST_LIMIT_BYTES = 1 << 20  # 128 contexts of 64 syntaxes each are 0.6 MB
COMMAND_LIMIT_BYTES = 1 << 16
SENT_FRAGMENT_LIMIT_BYTES = 1 << 17  # to a peer that names no limit
LINGER_S = 5.0  # for the peer to close after the last PDU

_PDU_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_COMMAND_FLAG, _LAST_FLAG = 1, 2

log = logging.getLogger("dicom")


class State(Enum):
    AWAITING_REQUEST = auto()  # Sta2
    OPEN = auto()  # Sta6
    CLOSING = auto()  # Sta13


_EXPECTED = {
    State.AWAITING_REQUEST: frozenset({PduType.ASSOCIATE_RQ, PduType.ABORT}),
    State.OPEN: frozenset({PduType.P_DATA, PduType.RELEASE_RQ, PduType.ABORT}),
    State.CLOSING: frozenset[PduType](),
}


class Association:
    """One peer's association. Handlers use `settings`, `request`, `remote_ip`, `dataset`, `send` and `is_cancelled`."""

    def __init__(
        self,
        connection: Connection,
        remote_ip: str,
        settings: DicomSettings,
        services: Services,
        slots: AbstractContextManager[object],
        *,
        is_over_limit: bool = False,
    ) -> None:
        self.settings = settings
        self.remote_ip = remote_ip
        self.slots = slots  # `with association.slots:` around work that loads this machine, never around the network
        self.request: AssociateRequest
        self._connection = connection
        self._services = services
        self._is_over_limit = is_over_limit
        self._state = State.AWAITING_REQUEST
        self._contexts: dict[int, Context] = {}
        self._pdu_left = 0  # bytes of the current P-DATA PDU not yet read
        self._dataset_context: Context | None = None  # of a dataset announced and not yet read to its end
        self._lock = threading.Lock()
        self._is_idle = True
        self._is_stopping = False
        self._cancelled: set[int] = set()

    # --- life ---

    def run(self) -> None:
        """Serve the peer until the association is over; then the connection is closed. Never raises."""
        try:
            self._serve()
        except Released:
            self._end(pdu.encode_release_reply())
        except Violation as exc:
            self._abort(exc.reason, str(exc))
        except (Refusal, PeerSilent) as exc:
            self._abort(None, str(exc))
        except PeerAborted:
            log.info("association aborted by %s", self._peer_name())
        except ConnectionLost as exc:
            if self._is_stopping:
                self._abort(None, "the server stops")
            else:
                log.info("connection lost with %s: %s", self._peer_name(), exc)
        except Exception as exc:  # noqa: BLE001 # a defect of one service ends one association, not the server
            log_fault(f"association failed with {self._peer_name()}", exc)
            self._abort(None, "internal error")
        finally:
            self._state = State.CLOSING
            self._connection.close()

    def stop(self) -> None:
        """Abort between two requests: at once if none is being served. Any thread."""
        with self._lock:
            self._is_stopping = True
            if self._is_idle:
                self._connection.stop_reading()

    def kill(self) -> None:
        """Break the connection. Any thread."""
        self._is_stopping = True
        self._connection.hang_up()

    def _serve(self) -> None:
        self._connection.set_deadline(self.settings.artim_timeout_s)
        if not self._establish():
            return
        self._connection.set_timeout(self.settings.scp_timeout_s)
        while True:
            self._wait_for_message()
            self._serve_message()

    def _establish(self) -> bool:
        kind, length = self._read_header()
        if kind is PduType.ABORT:
            raise PeerAborted
        if length > REQUEST_LIMIT_BYTES:
            raise Violation(AbortReason.INVALID_PARAMETER, "an A-ASSOCIATE-RQ beyond all measure")
        self.request = pdu.decode_associate_request(self._connection.take_all(length))
        answer = LOCAL_LIMIT_EXCEEDED if self._is_over_limit else self._negotiate()
        if isinstance(answer, Rejection):
            log.warning("association rejected with %s: %s", self._peer_name(), answer)
            self._end(pdu.encode_associate_reject(answer))
            return False
        self._contexts = answer.contexts
        self._connection.send(
            pdu.encode_associate_accept(
                self.request,
                answer.answers,
                answer.roles,
                maximum_length=self.settings.maximum_pdu_length,
                implementation_class_uid=self.settings.implementation_class_uid,
                implementation_version_name=self.settings.implementation_version_name,
            )
        )
        self._state = State.OPEN
        log.info("association accepted with %s", self._peer_name())
        return True

    def _negotiate(self) -> Agreement | Rejection:
        return negotiate(self.request, self.settings, self._services.abstract_syntaxes, self.remote_ip)

    def _wait_for_message(self) -> None:
        with self._lock:
            if self._is_stopping:
                raise Refusal("the server stops")
            self._is_idle = True
        self._connection.peek(1)
        with self._lock:
            self._is_idle = False

    def _end(self, last: bytes) -> None:
        self._state = State.CLOSING
        with contextlib.suppress(ConnectionLost, PeerSilent):
            self._connection.send(last)
            self._connection.finish(LINGER_S)

    def _abort(self, reason: AbortReason | None, text: str) -> None:
        log.warning("association aborted with %s: %s", self._peer_name(), text)
        self._end(pdu.encode_abort(reason))

    def _peer_name(self) -> str:
        title = self.request.calling_aet if hasattr(self, "request") else ""
        return f"{title!r} at {self.remote_ip}"

    # --- requests ---

    def _serve_message(self) -> None:
        context, command = self._read_command()
        service = self._services.find(command.field)
        if service is None:
            if command.field == Field.C_CANCEL:
                return  # of a request already answered
            raise Refusal(f"unsupported command 0x{command.field:04x}")
        operation = service.operation(context)
        if not is_allowed(self.settings, operation, self.request.calling_aet, self.remote_ip):
            raise Refusal(f"{operation.value} is not allowed")
        service.handle(self, context, command)
        if self._dataset_context is not None:
            self.skip_dataset()

    def _read_command(self) -> tuple[Context, Command]:
        context, flags, data = self._read_command_fragment()
        if not flags & _LAST_FLAG:
            parts = [data]
            first, size = context, len(data)
            while not flags & _LAST_FLAG:
                context, flags, data = self._read_command_fragment()
                size += len(data)
                if context is not first or size > COMMAND_LIMIT_BYTES:
                    raise Violation(
                        AbortReason.INVALID_PARAMETER, "a command set in two contexts, or beyond all measure"
                    )
                parts.append(data)
            data = b"".join(parts)
        command = decode_command(data)
        self._dataset_context = context if command.has_dataset else None
        return context, command

    def _read_command_fragment(self) -> tuple[Context, int, bytes]:
        context, flags, length = self._read_fragment_header()
        if not flags & _COMMAND_FLAG:
            raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a dataset without command")
        if length > COMMAND_LIMIT_BYTES:
            raise Violation(AbortReason.INVALID_PARAMETER, "a command set beyond all measure")
        return context, flags, bytes(self._connection.take(length))

    def dataset(self) -> Iterator[memoryview]:
        """The dataset that follows the command, as it comes; a view is valid until the next one is asked for."""
        expected = self._dataset_context
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
        self._dataset_context = None

    def skip_dataset(self) -> None:
        """Read over what is left of the dataset."""
        for _ in self.dataset():
            pass

    # --- answers ---

    def send(self, context: Context, command: bytes, dataset: Iterable[bytes] = ()) -> None:
        """Send a message; the dataset in pieces of any size. A response without dataset is one PDU."""
        self._connection.send(pdu.encode_p_data(context.id, command, is_command=True, is_last=True))
        limit = self._sent_fragment_limit()
        pending = b""
        is_empty = True
        for piece in dataset:
            is_empty = False
            pending += piece
            while len(pending) > limit:
                fragment, pending = pending[:limit], pending[limit:]
                self._connection.send(pdu.encode_p_data(context.id, fragment, is_command=False, is_last=False))
        if not is_empty:
            self._connection.send(pdu.encode_p_data(context.id, pending, is_command=False, is_last=True))

    def _sent_fragment_limit(self) -> int:
        wanted = self.request.maximum_length or SENT_FRAGMENT_LIMIT_BYTES
        return max(min(wanted, SENT_FRAGMENT_LIMIT_BYTES) - 6 & ~1, 2)

    def is_cancelled(self, request: Command) -> bool:
        """Whether the peer has sent a C-CANCEL for `request`, which is being served. Does not wait."""
        if not self._is_whole_pdu_buffered():
            self._connection.receive_now()
        while self._is_whole_pdu_buffered():
            _, command = self._read_command()
            if command.field != Field.C_CANCEL:
                raise Violation(AbortReason.UNEXPECTED_PARAMETER, "a request before the last one is answered")
            self._cancelled.add(command.message_id)
        if request.message_id in self._cancelled:
            self._cancelled.clear()
            return True
        return False

    def _is_whole_pdu_buffered(self) -> bool:
        if self._pdu_left or self._connection.buffered < _PDU_HEADER.size:
            return bool(self._pdu_left)
        _, length = _PDU_HEADER.unpack(self._connection.peek(_PDU_HEADER.size))
        return bool(self._connection.buffered >= _PDU_HEADER.size + length)

    # --- PDUs ---

    def _read_header(self) -> tuple[PduType, int]:
        number, length = _PDU_HEADER.unpack(self._connection.take(_PDU_HEADER.size))
        try:
            kind = PduType(number)
        except ValueError:
            raise Violation(AbortReason.UNRECOGNIZED_PDU, "an unknown PDU") from None
        if kind not in _EXPECTED[self._state]:
            raise Violation(AbortReason.UNEXPECTED_PDU, f"an unexpected PDU: {kind.name}")
        return kind, length

    def _read_fragment_header(self) -> tuple[Context, int, int]:
        """The context, the flags and the length of the next fragment; its bytes follow."""
        while not self._pdu_left:
            self._read_p_data_header()
        if self._pdu_left < _PDV_HEADER.size:
            raise Violation(AbortReason.INVALID_PARAMETER, "a P-DATA PDU too short for a fragment")
        length, context_id, flags = _PDV_HEADER.unpack(self._connection.take(_PDV_HEADER.size))
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
            raise PeerAborted
        if kind is PduType.RELEASE_RQ:
            if self._dataset_context is not None:
                raise Violation(AbortReason.UNEXPECTED_PDU, "a release inside a message")
            self._connection.take(min(length, 4))
            raise Released
        if length > self.settings.maximum_pdu_length:
            raise Violation(AbortReason.INVALID_PARAMETER, "a P-DATA PDU longer than agreed")
        self._pdu_left = length
