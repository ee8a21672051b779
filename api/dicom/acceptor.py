"""One association that a peer requests: a thread that negotiates, serves one request after another, and ends the way the peer or we end it."""

import logging
import threading
from contextlib import AbstractContextManager

from actors.wire import metrics
from actors.wire.dicom import pdu
from actors.wire.dicom.command import Command, Field, encode_response
from actors.wire.dicom.connection import Connection
from actors.wire.dicom.ending import (
    AbortReason,
    AssociationEnded,
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
from actors.wire.dicom.statuses import meaning_of
from actors.wire.dicom.upper_layer import UpperLayer
from api.dicom.access import is_allowed
from api.dicom.association import Association
from api.dicom.negotiation import LOCAL_LIMIT_EXCEEDED, Agreement, negotiate
from api.dicom.service import FinalResponse, Service, Services
from api.dicom.settings import DicomSettings
from events.errors import SinogramError
from store.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

log = logging.getLogger(__name__)


class Acceptor:
    """`run` is the association's life; `stop` and `kill` may come from any thread."""

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
        self._settings = settings
        self._remote_ip = remote_ip
        self._request: AssociateRequest
        self._slots = slots
        self._connection = connection
        self._upper_layer = UpperLayer(connection)
        self._services = services
        self._is_over_limit = is_over_limit
        self._lock = threading.Lock()
        self._is_idle = True
        self._is_stopping = False

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
        self._connection.set_deadline(self._settings.artim_timeout_s)
        self._connection.prepare()
        self._request = self._upper_layer.receive_request()
        answer = LOCAL_LIMIT_EXCEEDED if self._is_over_limit else self._negotiate()
        if isinstance(answer, Rejection):
            called = self._request.called_aet
            log.warning("association rejected with %s, which calls %r: %s", self._peer_name(), called, answer)
            self._upper_layer.end(pdu.encode_associate_reject(answer))
            return
        association = self._open(answer)
        while True:
            self._wait_for_message()
            self._serve_message(association)

    def _negotiate(self) -> Agreement | Rejection:
        return negotiate(self._request, self._settings, self._services.abstract_syntaxes, self._remote_ip)

    def _open(self, agreement: Agreement) -> Association:
        self._connection.set_timeout(self._settings.scp_timeout_s)
        acceptance = pdu.encode_associate_accept(
            self._request,
            agreement.answers,
            agreement.roles,
            maximum_length=self._settings.maximum_pdu_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        )
        self._upper_layer.open(
            acceptance,
            agreement.contexts,
            received_limit=self._settings.maximum_pdu_length,
            sent_limit=self._request.maximum_length,
        )
        log.debug("association accepted with %s", self._peer_name())
        return Association(
            self._connection,
            self._upper_layer,
            self._request,
            agreement.contexts_served_by_peer(),
            self._remote_ip,
            self._settings,
            self._slots,
        )

    def _wait_for_message(self) -> None:
        with self._lock:
            self._is_idle = True
            if self._is_stopping:
                raise Refusal("the server stops")
        self._upper_layer.wait()
        with self._lock:
            self._is_idle = False

    def _serve_message(self, association: Association) -> None:
        context, command = association.receive()
        service = self._services.find(command.field, context.abstract_syntax)
        if service is None:
            if command.field == Field.C_CANCEL:
                return  # of a request that is answered already
            raise Refusal(f"unsupported command 0x{command.field:04x}")
        if not is_allowed(self._settings, service.operation, self._request.calling_aet, self._remote_ip):
            raise Refusal(f"{service.operation.value} is not allowed")
        metrics.DICOM_REQUESTS.add(1, service.operation.value)
        last = _carry_out(service, association, context, command)
        association.skip_dataset()  # what an early refusal left unread
        response = encode_response(command, last.status, last.elements, has_dataset=bool(last.dataset))
        association.send(context, response, last.dataset)
        self._upper_layer.forget_cancels()

    def _on_connection_lost(self, error: ConnectionLost) -> None:
        if self._is_stopping:  # we have stopped reading; the peer may still be listening
            self._abort(None, "the server stops")
        else:
            log.debug("connection lost with %s: %s", self._peer_name(), error)

    def _abort(self, reason: AbortReason | None, text: str) -> None:
        is_told_between_requests = self._is_stopping and self._is_idle  # as every stop does
        level = logging.INFO if is_told_between_requests else logging.WARNING
        log.log(level, "association aborted with %s: %s", self._peer_name(), text)
        if self._is_stopping:
            self._upper_layer.end(pdu.encode_abort(reason), linger_s=0)
        else:
            self._upper_layer.end(pdu.encode_abort(reason))

    def _peer_name(self) -> str:
        title = self._request.calling_aet if hasattr(self, "_request") else ""
        return f"{title!r} at {self._remote_ip}"


def _carry_out(service: Service, association: Association, context: Context, command: Command) -> FinalResponse:
    """Serve a request; an error costs the request, not the association."""
    try:
        return service.handle(association, context, command)
    except AssociationEnded:
        raise
    except Exception as exc:
        if service.explain is None:
            raise
        last = service.explain(exc)
        name = service.field.name.replace("_", "-")
        if isinstance(exc, SinogramError):
            status, meaning = last.status, meaning_of(service.field, last.status)
            log.warning("%s refused with 0x%04x (%s): %s: %s", name, status, meaning, type(exc).__name__, exc)
        else:
            log_fault(f"{name} failed with 0x{last.status:04x}", exc)
        return last
