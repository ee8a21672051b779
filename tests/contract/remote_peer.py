"""A peer for our associations that does as it is told, one connection at a time: proper, silent, rude or broken."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from actors.services.remote.target import Target
from actors.wire.dicom import pdu
from actors.wire.dicom.command import Command, Element, decode_command, encode_response
from actors.wire.dicom.pdu import AssociateRequest, ContextAnswer, Rejection, Role

ABORT_BY_USER = pdu.encode_abort(None)
RELEASE_REQUEST, RELEASE_REPLY = pdu.encode_release_request(), pdu.encode_release_reply()
GARBAGE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
TIMEOUT_S = 40.0

Script = Callable[["Peer"], None]


class Gone(Exception):
    """The requestor has closed the connection."""


@dataclass
class Peer:
    """One connection, as the peer sees it."""

    socket: socket.socket
    request: AssociateRequest | None = None
    message: Command | None = None  # the last one received
    context_id: int = 0  # in which it came
    dataset: bytes = b""

    def receive_pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError as exc:
                raise Gone from exc
            if not part:
                raise Gone
            data += part
        return data

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive_request(self) -> AssociateRequest:
        kind, body = self.receive_pdu()
        assert kind == pdu.PduType.ASSOCIATE_RQ
        self.request = pdu.decode_associate_request(body)
        return self.request

    def accept(self, *, result: int = 0, maximum_length: int = 16384, roles: tuple[Role, ...] = ()) -> None:
        """Accept, or refuse, every context in its first transfer syntax."""
        request = self.receive_request()
        answers = [ContextAnswer(each.id, result, each.transfer_syntaxes[0]) for each in request.contexts]
        self.send(
            pdu.encode_associate_accept(
                request,
                answers,
                roles,
                maximum_length=maximum_length,
                implementation_class_uid="1.2.3",
                implementation_version_name="PEER",
            )
        )

    def reject(self, result: int, source: int, reason: int) -> None:
        self.receive_request()
        self.send(pdu.encode_associate_reject(Rejection(result, source, reason)))

    def receive(self) -> Command:
        """Wait for a message and keep it with its dataset."""
        command, self.dataset = b"", b""
        self.message = None
        while True:
            kind, body = self.receive_pdu()
            assert kind == pdu.PduType.P_DATA, kind
            length, self.context_id, flags = struct.unpack_from(">IBB", body)
            assert length == len(body) - 4, "one fragment in a PDU"
            if flags & 1:
                command += body[6:]
            else:
                self.dataset += body[6:]
            if flags & 2:
                self.message = self.message or decode_command(command)
                if not flags & 1 or not self.message.has_dataset:
                    return self.message

    def respond(
        self, status: int, extra: Mapping[Element, int | str] | None = None, dataset: bytes = b"", *, to: Command
    ) -> None:
        command = encode_response(to, status, extra, has_dataset=bool(dataset))
        self.send(pdu.encode_p_data(self.context_id, command, is_command=True, is_last=True))
        if dataset:
            self.send(pdu.encode_p_data(self.context_id, dataset, is_command=False, is_last=True))

    def wait_until_gone(self) -> list[int]:
        """What kinds of PDU still come before the connection ends; P-DATA among them."""
        kinds = []
        with contextlib.suppress(Gone, ConnectionResetError):
            while True:
                kinds.append(self.receive_pdu()[0])
        return kinds

    def end_well(self) -> None:
        """Take part in a release."""
        kind, _ = self.receive_pdu()
        assert kind == pdu.PduType.RELEASE_RQ, kind
        self.send(RELEASE_REPLY)
        assert self.wait_until_gone() == []


@dataclass
class PeerServer:
    port: int
    has_come: threading.Event = field(default_factory=threading.Event)  # set by scripts where a test waits for them

    def target(self, *, timeout_s: int = 20) -> Target:
        return Target(host="127.0.0.1", port=self.port, called_aet="PEER", calling_aet="OURS", timeout_s=timeout_s)


@contextmanager
def peer(script: Callable[[Peer, PeerServer], None]) -> Iterator[PeerServer]:
    """Serve one connection by a script; what it raises fails the test."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = PeerServer(listener.getsockname()[1])
    raised: list[BaseException] = []

    def run() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # nobody has come
        with connection:
            connection.settimeout(TIMEOUT_S)
            try:
                script(Peer(connection), server)
            except BaseException as exc:  # noqa: BLE001 # handed to the test
                raised.append(exc)

    thread = threading.Thread(target=run, name="remote-peer")
    thread.start()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
    if raised:
        raise raised[0]
