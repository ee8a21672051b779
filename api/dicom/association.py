"""One association: a thread that negotiates, serves one request after another, and ends the way the peer or we end it."""

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from actors.wire.dicom import pdu
from actors.wire.dicom.command import Command, Field
from actors.wire.dicom.connection import Connection
from actors.wire.dicom.ending import (
    AbortReason,
    ConnectionLost,
    PeerAborted,
    PeerSilent,
    Refusal,
    Released,
    TlsFailed,
    Violation,
    log_fault,
)
from actors.wire.dicom.pdu import AssociateRequest, Context, Rejection
from actors.wire.dicom.upper_layer import UpperLayer
from api.dicom.access import is_allowed
from api.dicom.negotiation import LOCAL_LIMIT_EXCEEDED, Agreement, negotiate
from api.dicom.services import Services
from api.dicom.settings import DicomSettings
from store.dicom.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

log = logging.getLogger(__name__)


class Association:
    """What handlers see of a peer's association. `run` is its life; `stop` and `kill` may come from any thread."""

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
        self.settings = settings  # as they were when the peer connected
        self.remote_ip = remote_ip
        self.request: AssociateRequest
        self.storage_contexts: list[Context] = []  # where the peer takes C-STORE requests of ours
        self.slots = slots  # `with association.slots:` around work that loads this machine, never around the network
        self._connection = connection
        self._upper_layer = UpperLayer(connection)
        self._services = services
        self._is_over_limit = is_over_limit
        self._lock = threading.Lock()
        self._is_idle = True
        self._is_stopping = False

    # --- for handlers ---

    def dataset(self) -> Iterator[memoryview]:
        """The dataset that follows the command, as it comes; a view is valid until the next one is asked for."""
        return self._upper_layer.read_dataset()

    def skip_dataset(self) -> None:
        """Read over what is left of the dataset."""
        for _ in self.dataset():
            pass

    def send(self, context: Context, command: bytes, dataset: Iterable[bytes] = ()) -> None:
        """Send a response, or a request of our own; its dataset in pieces of any size."""
        self._upper_layer.send(context, command, dataset)

    def send_all(self, context: Context, messages: Iterable[tuple[bytes, Iterable[bytes]]]) -> None:
        """Send responses one behind the other, small ones in one go."""
        self._upper_layer.send_all(context, messages)

    def send_large(self, context: Context, command: bytes, dataset: memoryview) -> None:
        """Send a request with a dataset that is all there, without copying it."""
        self._upper_layer.send_large(context, command, dataset)

    def receive(self) -> tuple[Context, Command]:
        """The next message: the response to a request of our own. Its dataset, if any, is for `dataset`."""
        return self._upper_layer.read_command()

    def is_cancelled(self, request: Command) -> bool:
        """Whether the peer has sent a C-CANCEL for `request`, which is being served. Does not wait."""
        return self._upper_layer.is_cancelled(request.message_id)

    def wait_beside(self, other: int) -> None:
        """Wait until the peer has sent something, for `is_cancelled` to look at, or a descriptor can be read."""
        self._connection.wait_beside(other)

    # --- life ---

    def run(self) -> None:
        """Serve the peer until the association is over; then the connection is closed. Never raises."""
        try:
            self._serve()
        except Released:
            self._upper_layer.end(pdu.encode_release_reply())
        except PeerAborted:
            log.debug("association aborted by %s", self._peer_name())
        except TlsFailed as exc:
            log.warning("connection broken with %s: %s", self._peer_name(), exc)
        except ConnectionLost as exc:
            self._on_connection_lost(exc)
        except Violation as exc:
            self._abort(exc.reason, str(exc))
        except (Refusal, PeerSilent) as exc:
            self._abort(None, str(exc))
        except Exception as exc:  # noqa: BLE001 # a defect of one service ends one association, not the server
            log_fault(f"association failed with {self._peer_name()}", exc)
            self._abort(None, "internal error")
        finally:
            self._connection.close()

    def stop(self) -> None:
        """Abort between two requests: at once if none is being served."""
        with self._lock:
            self._is_stopping = True
            if self._is_idle:
                self._connection.stop_reading()

    def kill(self) -> None:
        """Break the connection."""
        self._connection.hang_up()

    def _serve(self) -> None:
        self._connection.set_deadline(self.settings.artim_timeout_s)
        self._connection.prepare()
        self.request = self._upper_layer.receive_request()
        answer = LOCAL_LIMIT_EXCEEDED if self._is_over_limit else self._negotiate()
        if isinstance(answer, Rejection):
            called = self.request.called_aet
            log.warning("association rejected with %s, which calls %r: %s", self._peer_name(), called, answer)
            self._upper_layer.end(pdu.encode_associate_reject(answer))
            return
        self._open(answer)
        while True:
            self._wait_for_message()
            self._serve_message()

    def _negotiate(self) -> Agreement | Rejection:
        return negotiate(self.request, self.settings, self._services.abstract_syntaxes, self.remote_ip)

    def _open(self, agreement: Agreement) -> None:
        self.storage_contexts = agreement.contexts_served_by_peer()
        self._connection.set_timeout(self.settings.scp_timeout_s)
        acceptance = pdu.encode_associate_accept(
            self.request,
            agreement.answers,
            agreement.roles,
            maximum_length=self.settings.maximum_pdu_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        )
        self._upper_layer.open(
            acceptance,
            agreement.contexts,
            received_limit=self.settings.maximum_pdu_length,
            sent_limit=self.request.maximum_length,
        )
        log.debug("association accepted with %s", self._peer_name())

    def _wait_for_message(self) -> None:
        with self._lock:
            if self._is_stopping:
                raise Refusal("the server stops")
            self._is_idle = True
        self._upper_layer.wait()
        with self._lock:
            self._is_idle = False

    def _serve_message(self) -> None:
        context, command = self._upper_layer.read_command()
        service = self._services.find(command.field)
        if service is None:
            if command.field == Field.C_CANCEL:
                return  # of a request that is answered already
            raise Refusal(f"unsupported command 0x{command.field:04x}")
        operation = service.operation(context)
        if not is_allowed(self.settings, operation, self.request.calling_aet, self.remote_ip):
            raise Refusal(f"{operation.value} is not allowed")
        service.handle(self, context, command)
        self.skip_dataset()
        self._upper_layer.forget_cancels()

    def _on_connection_lost(self, error: ConnectionLost) -> None:
        if self._is_stopping:  # we have stopped reading; the peer may still be listening
            self._abort(None, "the server stops")
        else:
            log.debug("connection lost with %s: %s", self._peer_name(), error)

    def _abort(self, reason: AbortReason | None, text: str) -> None:
        log.warning("association aborted with %s: %s", self._peer_name(), text)
        if self._is_stopping:
            self._upper_layer.end(pdu.encode_abort(reason), linger_s=0)
        else:
            self._upper_layer.end(pdu.encode_abort(reason))

    def _peer_name(self) -> str:
        title = self.request.calling_aet if hasattr(self, "request") else ""
        return f"{title!r} at {self.remote_ip}"
