"""A sender for tests that can also say what no proper sender would: PDUs byte by byte over a real socket."""

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple, Self

from actors.wire.dicom.command import Command, Element, Field, decode_command, encode_command
from actors.wire.dicom.pdu import encode_p_data
from store.dicom.uids import APPLICATION_CONTEXT

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"

RELEASE_RQ = b"\x05\0\0\0\0\4" + bytes(4)
ABORT = b"\x07\0\0\0\0\4" + bytes(4)
DEFAULT_CONTEXTS = ((1, VERIFICATION, (IMPLICIT_LE,)), (3, CT, (EXPLICIT_LE,)), (5, MR, (IMPLICIT_LE,)))
TIMEOUT_S = 40.0

Contexts = Sequence[tuple[int, str, Sequence[str]]]


class Accepted(NamedTuple):
    """An A-ASSOCIATE-AC."""

    contexts: list[tuple[int, int, str]]  # identifier, result, transfer syntax
    maximum_length: int
    user_items: list[tuple[int, bytes]]
    titles: bytes


class Rejected(NamedTuple):
    result: int
    source: int
    reason: int


class Aborted(NamedTuple):
    source: int
    reason: int


class Closed(NamedTuple):
    """The server has closed the connection."""


class ReleaseReply(NamedTuple):
    """An A-RELEASE-RP."""


class Response(NamedTuple):
    context_id: int
    command: Command

    @property
    def status(self) -> int:
        return self.command.number(Element.STATUS, -1)


Answer = Accepted | Rejected | Aborted | Closed | ReleaseReply | Response


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def user_information(maximum_length: int = 16384, extra: bytes = b"") -> bytes:
    return item(0x50, item(0x51, struct.pack(">I", maximum_length)) + item(0x52, b"1.2.3.4") + extra)


def associate_request(
    contexts: Contexts = DEFAULT_CONTEXTS,
    *,
    called: str = "ORTHANC",
    calling: str = "SCU",
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
    user: bytes | None = None,
) -> bytes:
    items = item(0x10, application_context.encode())
    for context_id, abstract_syntax, transfer_syntaxes in contexts:
        syntaxes = b"".join(item(0x40, uid.encode()) for uid in transfer_syntaxes)
        items += item(0x20, bytes((context_id, 0, 0, 0)) + item(0x30, abstract_syntax.encode()) + syntaxes)
    items += user_information() if user is None else user
    titles = called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body = struct.pack(">Hxx", version) + titles + items
    return struct.pack(">BxI", 1, len(body)) + body


def echo_command(message_id: int = 7) -> bytes:
    return encode_command(
        {
            Element.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            Element.COMMAND_FIELD: Field.C_ECHO,
            Element.MESSAGE_ID: message_id,
            Element.DATA_SET_TYPE: 0x0101,
        }
    )


def store_command(sop_instance: str = "1.2.3.1", sop_class: str = CT, message_id: int = 9) -> bytes:
    return encode_command(
        {
            Element.AFFECTED_SOP_CLASS_UID: sop_class,
            Element.COMMAND_FIELD: Field.C_STORE,
            Element.MESSAGE_ID: message_id,
            Element.PRIORITY: 0,
            Element.DATA_SET_TYPE: 1,
            Element.AFFECTED_SOP_INSTANCE_UID: sop_instance,
        }
    )


def element(group: int, number: int, vr: bytes, value: bytes | str, order: str = "<") -> bytes:
    """An element with explicit VR."""
    raw = value.encode() if isinstance(value, str) else value
    raw += (b"\0" if vr in {b"UI", b"OB", b"OW"} else b" ") * (len(raw) & 1)
    if vr in {b"OB", b"OW", b"SQ", b"UN", b"UT"}:
        return struct.pack(order + "HH2sHI", group, number, vr, 0, len(raw)) + raw
    return struct.pack(order + "HH2sH", group, number, vr, len(raw)) + raw


def make_dataset(sop_instance: str = "1.2.3.1", sop_class: str = CT, *, padding: int = 0) -> bytes:
    """A small dataset in explicit VR little endian with `padding` bytes of pixel data."""
    return b"".join(
        (
            element(0x0008, 0x0016, b"UI", sop_class),
            element(0x0008, 0x0018, b"UI", sop_instance),
            element(0x0010, 0x0020, b"LO", "PATIENT"),
            element(0x0020, 0x000D, b"UI", "1.2.3"),
            element(0x0020, 0x000E, b"UI", "1.2.3.0"),
            element(0x7FE0, 0x0010, b"OW", bytes(padding)) if padding else b"",
        )
    )


class Scu:
    """One connection. `receive` waits for the next PDU and decodes it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, data: bytes) -> Answer:
        self.send(data)
        return self.receive()

    def associate(self, contexts: Contexts = DEFAULT_CONTEXTS, **options: str) -> Accepted:
        answer = self.ask(associate_request(contexts, **options))  # type: ignore[arg-type] # titles alone
        assert isinstance(answer, Accepted), answer
        return answer

    def echo(self, context_id: int = 1) -> Answer:
        return self.ask(encode_p_data(context_id, echo_command(), is_command=True, is_last=True))

    def store(
        self, dataset: bytes, sop_instance: str = "1.2.3.1", *, context_id: int = 3, fragment: int = 8192
    ) -> Answer:
        self.send(encode_p_data(context_id, store_command(sop_instance), is_command=True, is_last=True))
        self.send_dataset(dataset, context_id=context_id, fragment=fragment)
        return self.receive()

    def send_dataset(self, dataset: bytes, *, context_id: int = 3, fragment: int = 8192, end: bool = True) -> None:
        parts = [dataset[start : start + fragment] for start in range(0, len(dataset), fragment)] or [b""]
        for number, part in enumerate(parts, 1):
            is_last = end and number == len(parts)
            self.send(encode_p_data(context_id, part, is_command=False, is_last=is_last))

    def release(self) -> Answer:
        return self.ask(RELEASE_RQ)

    def receive(self) -> Answer:
        try:
            kind, length = struct.unpack(">BxI", self._receive_exactly(6))
            body = self._receive_exactly(length)
        except (EOFError, ConnectionResetError):
            return Closed()
        return _decode(kind, body)

    def receive_dataset(self) -> bytes:
        """Wait for all fragments of a dataset."""
        data = b""
        while True:
            kind, length = struct.unpack(">BxI", self._receive_exactly(6))
            body = self._receive_exactly(length)
            assert (kind, body[5] & 1) == (4, 0), "a fragment of a dataset"
            data += body[6:]
            if body[5] == 2:
                return data

    def _receive_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data


def _decode(kind: int, body: bytes) -> Answer:
    match kind:
        case 2:
            return _decode_accepted(body)
        case 3:
            return Rejected(*body[1:4])
        case 4:
            assert body[5] == 3, "a response's command in one fragment"
            return Response(body[4], decode_command(body[6:]))
        case 6:
            return ReleaseReply()
        case 7:
            return Aborted(*body[2:4])
        case _:
            raise AssertionError(f"PDU {kind}")


def _decode_accepted(body: bytes) -> Accepted:
    contexts = []
    user: list[tuple[int, bytes]] = []
    for kind, value in _items(body[68:]):
        if kind == 0x21:
            contexts.append((value[0], value[2], _items(value[4:])[0][1].decode()))
        elif kind == 0x50:
            user = _items(value)
    maximum_length = int.from_bytes(dict(user)[0x51], "big")
    return Accepted(contexts, maximum_length, user, body[4:68])


def _items(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        kind, length = struct.unpack_from(">BxH", data)
        found.append((kind, data[4 : 4 + length]))
        data = data[4 + length :]
    return found
