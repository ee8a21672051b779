"""A query server that writes down what it is asked and always gives the same answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Field, encode_response
from actors.wire.dicom.ending import PeerAborted
from actors.wire.dicom.pdu import Context
from api.dicom.association import Association
from api.dicom.echo_scp import create_echo_service
from api.dicom.server import DicomServer
from api.dicom.service import FinalResponse, Service
from api.dicom.settings import DicomSettings
from store.dicom.identifier import decode_dataset, encode_dataset
from store.dicom.matching import Dataset
from store.dicom.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND, WORKLIST_FIND

REJECTION = bytes.fromhex("03000000000400010103")  # A-ASSOCIATE-RJ: the calling AET is not recognised
_PENDING, _SUCCESS = 0xFF00, 0x0000


@dataclass
class RecordingScp:
    """What it was asked since the last `take`; `answers` and `status` may be replaced while it runs."""

    port: int = 0
    answers: list[Dataset] = field(default_factory=list)
    encoding: str = "Latin1"
    status: int = _SUCCESS
    asked: list[tuple[str, str, Dataset]] = field(default_factory=list)  # abstract syntax, calling title, identifier
    associations: list[Association] = field(default_factory=list)  # of each question
    hangs_up: bool = False  # after each answer

    def take(self) -> list[tuple[str, str, Dataset]]:
        taken, self.asked = self.asked, []
        return taken

    def handle(self, association: Association, context: Context, command: Command) -> FinalResponse:
        data = b"".join(bytes(part) for part in association.dataset())
        identifier, _ = decode_dataset(data, context.transfer_syntax, "Latin1")
        self.associations.append(association)
        self.asked.append((context.abstract_syntax, association.request.calling_aet, identifier))
        for answer in self.answers:
            encoded = encode_dataset(answer, context.transfer_syntax, self.encoding)
            association.send(context, encode_response(command, _PENDING, has_dataset=True), (encoded,))
        if self.hangs_up:
            association.send(context, encode_response(command, self.status))
            raise PeerAborted
        return FinalResponse(self.status)


@contextmanager
def recording_scp(answers: list[Dataset] | None = None) -> Iterator[RecordingScp]:
    listener = socket.create_server(("127.0.0.1", 0))
    recorder = RecordingScp(listener.getsockname()[1], answers or [])
    service = Service(
        field=Field.C_FIND,
        operation=Operation.FIND,
        handle=recorder.handle,
        abstract_syntaxes=frozenset({PATIENT_ROOT_FIND, STUDY_ROOT_FIND, WORKLIST_FIND}),
    )
    settings = DicomSettings(always_allowed=frozenset(Operation))
    server = DicomServer(listener, (create_echo_service(), service), lambda: settings)
    server.start()
    try:
        yield recorder
    finally:
        server.stop()


@contextmanager
def rude_peer(reply: bytes | None) -> Iterator[int]:
    """A port behind which somebody says `reply` to whatever comes first; None: somebody who never says anything."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(connection)
            if reply is not None:
                connection.recv(1 << 16)
                if reply:
                    connection.sendall(reply)
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in accepted:
            connection.close()
