"""An association that this server has requested: exchanges messages, ends. Blocking, one thread at a time.

An early end is RemoteFailed with Orthanc's number and a text for operators. It is Interrupted if the run or the process of the
association is told to end: then it tells the peer if it was waiting for it, and hangs up if it was sending.
After either, or if a message was only half sent, `is_usable` is false and leaving the `with` block aborts instead of releasing.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from actors.services.remote.explanation import explain_end
from actors.services.remote.target import Target
from actors.wire.dicom import pdu
from actors.wire.dicom.command import NO_DATASET, Command, Element, Field, encode_command
from actors.wire.dicom.connection import Connection
from actors.wire.dicom.ending import AbortReason, AssociationEnded, Violation
from actors.wire.dicom.pdu import Context
from actors.wire.dicom.response import Question
from actors.wire.dicom.upper_layer import UpperLayer
from actors.wire.errors import NO_PRESENTATION_CONTEXT, RemoteFailed
from actors.wire.interruption import Interruption

RELEASE_LIMIT_S: Final = 5.0  # for a peer to agree to the end; the work is done by then
ANSWER_LIMIT_BYTES: Final = 1 << 24  # of a dataset that is read as a whole: an answer to C-FIND


class Association:
    """An association that is open. Made by `open_association`; a context manager."""

    def __init__(
        self, target: Target, connection: Connection, layer: UpperLayer, contexts: Sequence[Context], served: set[str]
    ) -> None:
        self.target = target
        self.contexts = tuple(contexts)  # those the peer has accepted, in the order proposed
        self.served = frozenset(served)  # abstract syntaxes of which the peer may send us requests
        self.is_whole = True  # nothing has failed, nothing is half sent
        self._connection = connection
        self._layer = layer
        self._message_id = 0
        self._activity = "associated with"
        self._is_sending = False
        self._watching = contextlib.ExitStack()
        self._interruption = Interruption()

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent."""
        return self.is_whole and self._layer.is_between_messages

    def is_still_open(self) -> bool:
        """Whether a kept association can be used again: the peer has sent nothing since. Does not wait."""
        with contextlib.suppress(AssociationEnded):
            self._connection.receive_now()
            return self.is_usable and not self._connection.buffered
        return False

    # --- whose it is ---

    def attach(self, interruption: Interruption) -> None:
        """From now on obey this interruption, and no other; for an association that is kept from use to use."""
        self.detach()
        self._interruption = interruption
        self._watching.enter_context(interruption.watch(self._hang_up))

    def detach(self) -> None:
        """No interruption ends it any more."""
        self._watching.close()
        self._interruption = Interruption()

    def _hang_up(self) -> None:
        # Only a write is cut off; otherwise the peer can still be told. The sender sets the flag and then looks at
        # the interruption. The interrupter sets the interruption and then looks at the flag. So one of them sees the other.
        if self._is_sending:
            self._connection.hang_up()
        else:
            self._connection.stop_reading()

    # --- contexts ---

    def find_context(self, abstract_syntax: str, transfer_syntax: str | None = None) -> Context | None:
        """The first accepted context of an abstract syntax, in a given transfer syntax if there is one."""
        fitting = (context for context in self.contexts if context.abstract_syntax == abstract_syntax)
        return next((c for c in fitting if transfer_syntax in {None, c.transfer_syntax}), None)

    def context_for(self, abstract_syntax: str, *, code: int = NO_PRESENTATION_CONTEXT) -> Context:
        """The accepted context of an abstract syntax. Raises RemoteFailed with this number if there is none."""
        context = self.find_context(abstract_syntax)
        if context is None:
            raise RemoteFailed(f"Remote AET is {self.target.called_aet}", code=code)
        return context

    # --- messages ---

    def begin(self, field: Field, context: Context, sop_instance: str = "") -> Question:
        """Return what the next request is, its identifier among it; what goes wrong from now on is told as of its kind."""
        self._activity = f"{field.name.replace('_', '-')} to"
        self._message_id = self._message_id % 0xFFFF + 1
        return Question(field, self._message_id, context, sop_instance)

    def send(self, context: Context, command: bytes, dataset: Iterable[bytes] = ()) -> None:
        """Send a message; its dataset in pieces of any size. Raises RemoteFailed, Interrupted."""
        with self._at(is_sending=True):
            self._layer.send(context, command, dataset)

    def send_large(
        self, context: Context, command: bytes, dataset: memoryview, settle: Callable[[], None] | None = None
    ) -> None:
        """Send a message with a dataset that is all there, without copying it. Raises RemoteFailed, Interrupted.

        `settle` is called before the last fragment leaves, without which the message has no effect; what it raises
        leaves the association unusable.
        """
        with self._at(is_sending=True):
            self._layer.send_large(context, command, dataset, settle)

    def receive(self) -> tuple[Context, Command]:
        """Wait for the next message; its dataset, if any, is for `dataset`. Raises RemoteFailed, Interrupted."""
        with self._at():
            return self._layer.read_command()

    def dataset(self) -> Iterator[memoryview]:
        """The dataset that follows the command, as it comes; a view is valid until the next one is asked for."""
        parts = self._layer.read_dataset()
        while True:
            with self._at():
                part = next(parts, None)
            if part is None:
                return
            yield part

    def read_dataset(self) -> bytes:
        """The dataset as a whole. Raises RemoteFailed, also for one of more than `ANSWER_LIMIT_BYTES`."""
        data = bytearray()
        for part in self.dataset():
            data += part
            if len(data) > ANSWER_LIMIT_BYTES:
                raise self.fail(f"a dataset of more than {ANSWER_LIMIT_BYTES} bytes")
        return bytes(data)

    def skip_dataset(self) -> None:
        """Read over what is left of the dataset."""
        for _ in self.dataset():
            pass

    def receive_response(self, question: Question) -> Command:
        """Wait for a response to our request; anything else ends the association. Raises RemoteFailed, Interrupted."""
        context, command = self.receive()
        self.expect_response(question, context, command)
        return command

    def expect_response(self, question: Question, context: Context, command: Command) -> None:
        """Make sure that a message answers our request and has what an answer must have. Raises RemoteFailed."""
        service = question.field.name.replace("_", "-")
        if not question.is_answered_by(context, command):
            raise self.fail(f"a message that does not answer the {service}")
        if flaw := question.find_flaw(command):
            raise self.fail(f"a response to the {service} {flaw}")

    def cancel(self, context: Context, message_id: int) -> None:
        """Send a C-CANCEL for a request of ours (PS3.7 §9.3.2.3). Raises RemoteFailed, Interrupted."""
        self.send(context, encode_cancel(message_id))

    def limit_answers(self, seconds: float) -> None:
        """Let all that is read until the next `lift_limit` arrive within this time together."""
        self._connection.set_deadline(seconds)

    def lift_limit(self) -> None:
        self._connection.set_timeout(self.target.timeout_s)

    def fail(self, text: str) -> RemoteFailed:
        """Abort for what the peer has sent; returns the error to raise."""
        violation = Violation(AbortReason.UNEXPECTED_PARAMETER, text)
        self._abort(violation.reason)
        return explain_end(violation, self.target.called_aet, self._activity)

    @contextlib.contextmanager
    def _at(self, *, is_sending: bool = False) -> Iterator[None]:
        """Turn errors inside the block into errors of this association."""
        self._is_sending = is_sending
        is_done = False
        try:
            self._interruption.check()
            yield
            is_done = True
        except AssociationEnded as exc:
            self._interruption.check()
            if isinstance(exc, Violation):
                self._abort(exc.reason)
            raise explain_end(exc, self.target.called_aet, self._activity) from exc
        finally:
            self._is_sending = False
            self.is_whole &= is_done

    # --- end ---

    def release(self) -> None:
        """End in good order if nothing is under way, else abort; the connection is closed. Never raises."""
        if not self.is_usable:
            self.abort()
            return
        self.is_whole = False
        try:
            with contextlib.suppress(AssociationEnded):
                self._connection.set_deadline(min(self.target.timeout_s or RELEASE_LIMIT_S, RELEASE_LIMIT_S))
                self._layer.release()
        finally:
            self._close()

    def abort(self, last_words: bytes = b"") -> None:
        """End at once; `last_words`, a whole PDU, are sent before if the peer takes them now. Never raises."""
        self._abort(None, last_words)
        self._close()

    def _abort(self, reason: AbortReason | None, last_words: bytes = b"") -> None:
        self.is_whole = False
        self._layer.abort(last_words + pdu.encode_abort(reason))

    def _close(self) -> None:
        self.detach()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release() if kind is None else self.abort()


def encode_cancel(message_id: int) -> bytes:
    """The command set of a C-CANCEL."""
    return encode_command(
        {
            Element.COMMAND_FIELD: Field.C_CANCEL,
            Element.MESSAGE_ID_RESPONDED_TO: message_id,
            Element.DATA_SET_TYPE: NO_DATASET,
        }
    )
