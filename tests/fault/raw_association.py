"""DICOM's upper layer by hand, for peers that misbehave in ways no library allows (PS3.8 §9.3, PS3.7 §9.3.1).

Nothing here checks what is sent; what is read is split into PDUs and no further.
"""

import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
LAST_DATA, MORE_DATA, LAST_COMMAND = 2, 0, 3
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
REPLY_TIMEOUT_S = 40.0


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A PDU whose header may claim another length than the body has."""
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_rq(called: str = "PEER", calling: str = "TESTER", *, abstract: str = MR, syntax: str = EXPLICIT) -> bytes:
    """A request for one presentation context, number 1."""
    context = item(0x20, b"\1\0\0\0" + item(0x30, abstract.encode()) + item(0x40, syntax.encode()))
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"2.25.7305.9"))
    fixed = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    return pdu(ASSOCIATE_RQ, fixed + item(0x10, b"1.2.840.10008.3.1.1.1") + context + user)


def command(*elements: tuple[int, bytes]) -> bytes:
    """A command set of group 0000 in implicit VR, with its group length."""
    body = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def store_rq(sop_class: str, sop_uid: str, *, field: int = 0x0001) -> bytes:
    """A C-STORE-RQ command with a dataset to follow."""
    return command(
        (0x0002, _even(sop_class)),
        (0x0100, struct.pack("<H", field)),
        (0x0110, struct.pack("<H", 1)),
        (0x0700, struct.pack("<H", 0)),
        (0x0800, struct.pack("<H", 1)),
        (0x1000, _even(sop_uid)),
    )


def p_data(data: bytes, control: int, *, context: int = 1) -> bytes:
    """A P-DATA-TF with one presentation data value."""
    return pdu(P_DATA, struct.pack(">IBB", len(data) + 2, context, control) + data)


def _even(text: str) -> bytes:
    value = text.encode()
    return value + b"\0" * (len(value) % 2)


@dataclass(frozen=True, slots=True)
class Pdu:
    """What the server sent."""

    kind: int
    body: bytes

    @property
    def dimse_status(self) -> int | None:
        """(0000,0900) of a response, in a P-DATA-TF."""
        found = self.body.find(b"\0\0\0\x09\2\0\0\0")
        return None if found < 0 else int.from_bytes(self.body[found + 8 : found + 10], "little")


class RawAssociation:
    """A TCP connection to a DICOM port."""

    def __init__(self, port: int) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), timeout=REPLY_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.link.close()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.link.sendall(part)

    def read(self) -> Pdu | None:
        """The next PDU, or None when the server closed; raises TimeoutError."""
        head = self._read(6)
        if head is None:
            return None
        body = self._read(int.from_bytes(head[2:6], "big"))
        return None if body is None else Pdu(head[0], body)

    def associate(self, called: str = "PEER", **request: str) -> Pdu | None:
        self.send(associate_rq(called, **request))
        return self.read()

    def release(self) -> Pdu | None:
        self.send(pdu(RELEASE_RQ, bytes(4)))
        return self.read()

    def _read(self, size: int) -> bytes | None:
        parts = b""
        while len(parts) < size:
            try:
                part = self.link.recv(size - len(parts))
            except ConnectionResetError:
                return None
            if not part:
                return None
            parts += part
        return parts
