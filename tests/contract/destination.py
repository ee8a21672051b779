"""A destination for C-STORE that writes down what it is sent, made with pynetdicom."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from actors.services.remote.target import Target
from tests.dicom_bytes import MR
from tests.pynetdicom_server import serving_entity

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


@dataclass(frozen=True, slots=True)
class Sent:
    """A C-STORE as it arrived."""

    association: int  # from 1
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    dataset: bytes
    originator: tuple[str | None, int | None]


@dataclass(slots=True)
class Destination:
    """What has arrived."""

    port: int = 0
    sent: list[Sent] = field(default_factory=list)
    proposed: list[list[tuple[str, tuple[str, ...]]]] = field(default_factory=list)  # of each association
    released: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    sockets: list[socket.socket] = field(default_factory=list)
    on_store: Callable[[Any, int], int] = lambda _event, _number: 0  # the status; the second: how many came before

    @property
    def instances(self) -> list[str]:
        return [sent.sop_instance for sent in self.sent]

    def target(self, **values: object) -> Target:
        made: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "called_aet": "THERE", "calling_aet": "OURS"}
        return Target(**(made | values))  # type: ignore[arg-type]  # by name

    def _on_open(self, event: Any) -> None:
        self.sockets.append(event.assoc.dul.socket.socket)  # pynetdicom forgets it unclosed where the peer was first

    def _on_requested(self, event: Any) -> None:
        contexts = event.assoc.requestor.requested_contexts
        self.proposed.append([(c.abstract_syntax, tuple(c.transfer_syntax)) for c in contexts])
        event.assoc.number = len(self.proposed)

    def _on_store(self, event: Any) -> int:
        request = event.request
        status = self.on_store(event, len(self.sent))
        self.sent.append(
            Sent(
                event.assoc.number,
                request.AffectedSOPClassUID,
                request.AffectedSOPInstanceUID,
                event.context.transfer_syntax,
                request.DataSet.getvalue(),
                (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID),
            )
        )
        return status

    def _on_released(self, _event: Any) -> None:
        self.released.release()


@contextmanager
def destination(
    *syntaxes: str, classes: Sequence[str] = (MR,), maximum_pdu_length: int = 16384
) -> Iterator[Destination]:
    """Serve C-STORE for these classes, each in any of these syntaxes."""
    made = Destination()
    entity = ApplicationEntity("THERE")
    entity.maximum_pdu_size = maximum_pdu_length
    for sop_class in classes:
        entity.add_supported_context(sop_class, list(syntaxes) or [EXPLICIT])
    handlers: Any = [
        (evt.EVT_CONN_OPEN, made._on_open),
        (evt.EVT_REQUESTED, made._on_requested),
        (evt.EVT_C_STORE, made._on_store),
        (evt.EVT_RELEASED, made._on_released),
    ]
    try:
        with serving_entity(entity, handlers) as made.port:
            yield made
    finally:
        for sock in made.sockets:
            sock.close()
