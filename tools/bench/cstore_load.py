"""C-STORE from a sender that is never the bottleneck: no delays in TCP, every PDU made before the clock starts.

One file is in flight at a time, as with `storescu`. Just enough of the protocol for that (PS3.8 §9.3, PS3.7 §9.3.1).
"""

import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from events.errors import InvalidDicom, PeerFailed
from tools.bench.senders import Sender

TIMEOUT_S: Final = 120.0
OWN_AET: Final = "SINOBENCH"
OWN_MAXIMUM_PDU: Final = 16384
LARGEST_SENT_PDU: Final = 131072  # where the peer sets no limit
_APPLICATION_CONTEXT: Final = b"1.2.840.10008.3.1.1.1"
_IMPLEMENTATION: Final = b"2.25.80302813137786398554742050926734630921"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A DICOM file taken apart as far as C-STORE needs it."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    dataset: memoryview


def parse_file(file: bytes) -> Parsed:
    """Read group 2 of a file (PS3.10 §7.1). Raises: InvalidDicom."""
    if file[128:132] != b"DICM":
        raise InvalidDicom("not a DICOM file")
    place, found = 132, {}
    while file[place : place + 2] == b"\x02\x00":
        element, vr = int.from_bytes(file[place + 2 : place + 4], "little"), file[place + 4 : place + 6]
        if vr in {b"OB", b"UN"}:
            length, start = int.from_bytes(file[place + 8 : place + 12], "little"), place + 12
        else:
            length, start = int.from_bytes(file[place + 6 : place + 8], "little"), place + 8
        found[element] = file[start : start + length]
        place = start + length
    try:
        sop_class, sop_instance, syntax = (found[element].rstrip(b"\0 ").decode() for element in (0x02, 0x03, 0x10))
    except KeyError as exc:
        raise InvalidDicom("the file lacks a part of its group 2") from exc
    return Parsed(sop_class, sop_instance, syntax, memoryview(file)[place:])


class Association:
    """An association as C-STORE SCU."""

    def __init__(self, host: str, port: int, aet: str, contexts: Iterable[tuple[str, str]]) -> None:
        """Associate. Raises: OSError, PeerFailed."""
        self._wanted = dict(zip(range(1, 256, 2), contexts, strict=False))
        self._socket = socket.create_connection((host, port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._socket.sendall(_associate_request(aet, self._wanted))
        kind, body = self._read_pdu()
        if kind != 2:
            raise PeerFailed(f"the association was refused: PDU type {kind}, {body[:4].hex()}")
        self._accepted, limit = _read_accept(body)
        self._limit = min(limit or LARGEST_SENT_PDU, LARGEST_SENT_PDU)

    def encode(self, file: Parsed, message_id: int) -> bytes:
        """Make the PDUs of one C-STORE. Raises: PeerFailed if the peer did not accept its kind."""
        pair = (file.sop_class, file.transfer_syntax)
        context = next((n for n, p in self._wanted.items() if p == pair and n in self._accepted), None)
        if context is None:
            raise PeerFailed(f"the peer does not accept {file.sop_class} as {file.transfer_syntax}")
        out = bytearray()
        for control, data in ((1, memoryview(_store_request(file, message_id))), (0, file.dataset)):
            step = self._limit - 6
            for place in range(0, len(data), step):
                part = data[place : place + step]
                is_last = place + step >= len(data)
                out += struct.pack(">BBIIBB", 4, 0, len(part) + 6, len(part) + 2, context, control | (is_last << 1))
                out += part
        return bytes(out)

    def store(self, pdus: bytes | bytearray) -> None:
        """Send one C-STORE and wait for its answer. Raises: PeerFailed unless the status is 0, OSError."""
        self._socket.sendall(pdus)
        command = bytearray()
        while True:
            kind, body = self._read_pdu()
            if kind != 4:
                raise ConnectionAbortedError(f"PDU type {kind} instead of an answer")
            place = 0
            while place < len(body):
                (length,) = struct.unpack_from(">I", body, place)
                command += body[place + 6 : place + 4 + length]
                is_last = bool(body[place + 5] & 2)
                place += 4 + length
            if is_last:
                break
        if status := _status(command):
            raise PeerFailed(f"status 0x{status:04X}")

    def release(self) -> None:
        self._socket.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        self._read_pdu()
        self._socket.close()

    def _read_pdu(self) -> tuple[int, bytes]:
        head = self._read(6)
        return head[0], self._read(int.from_bytes(head[2:6], "big"))

    def _read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            # Without this our kernel may hold its ACK for 40 ms, for which a peer that leaves Nagle's algorithm on waits
            # in the middle of its answer: 20/s instead of 90/s from an Orthanc.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the peer closed the connection")
            self._buffer += data
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def cstores(host: str, port: int, aet: str, files: Sequence[bytes], associations: int) -> list[Sender]:
    """Send `files` over this many associations, each every n-th file."""
    shares = [files[first::associations] for first in range(associations)]
    return [Sender(partial(_prepare, host, port, aet, share)) for share in shares]


def _prepare(host: str, port: int, aet: str, files: Sequence[bytes]) -> Iterator[Callable[[], None]]:
    parsed = [parse_file(file) for file in files]
    contexts = dict.fromkeys((file.sop_class, file.transfer_syntax) for file in parsed)
    association = Association(host, port, aet, contexts)
    messages = [association.encode(file, 1 + number % 65535) for number, file in enumerate(parsed)]
    return _stores(association, messages)


def _stores(association: Association, messages: list[bytes]) -> Iterator[Callable[[], None]]:
    for message in messages:
        yield partial(association.store, message)
    association.release()


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _associate_request(aet: str, contexts: dict[int, tuple[str, str]]) -> bytes:
    items = _item(0x10, _APPLICATION_CONTEXT)
    for number, (sop_class, syntax) in contexts.items():
        proposal = _item(0x30, sop_class.encode()) + _item(0x40, syntax.encode())
        items += _item(0x20, bytes((number, 0, 0, 0)) + proposal)
    user = _item(0x51, struct.pack(">I", OWN_MAXIMUM_PDU)) + _item(0x52, _IMPLEMENTATION)
    items += _item(0x50, user)
    body = struct.pack(">HH16s16s32x", 1, 0, aet.ljust(16).encode(), OWN_AET.ljust(16).encode()) + items
    return struct.pack(">BBI", 1, 0, len(body)) + body


def _read_accept(body: bytes) -> tuple[set[int], int]:
    """Return the accepted contexts and the peer's maximum PDU length (0 = no limit) from an A-ASSOCIATE-AC."""
    accepted, limit, place = set(), 0, 68
    while place + 4 <= len(body):
        kind, length = struct.unpack_from(">BxH", body, place)
        item = body[place + 4 : place + 4 + length]
        if kind == 0x21 and item[2] == 0:
            accepted.add(item[0])
        elif kind == 0x50 and item[0] == 0x51:
            (limit,) = struct.unpack_from(">I", item, 4)
        place += 4 + length
    return accepted, limit


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _store_request(file: Parsed, message_id: int) -> bytes:
    def uid(text: str) -> bytes:
        return text.encode() + b"\0" * (len(text) % 2)

    body = (
        _element(0x0002, uid(file.sop_class))
        + _element(0x0100, struct.pack("<H", 1))
        + _element(0x0110, struct.pack("<H", message_id))
        + _element(0x0700, struct.pack("<H", 0))
        + _element(0x0800, struct.pack("<H", 1))
        + _element(0x1000, uid(file.sop_instance))
    )
    return _element(0x0000, struct.pack("<I", len(body))) + body


def _status(command: bytes | bytearray) -> int:
    place = 0
    while place + 8 <= len(command):
        _, element, length = struct.unpack_from("<HHI", command, place)
        if element == 0x0900:
            return int.from_bytes(command[place + 8 : place + 10], "little")
        place += 8 + length
    raise PeerFailed("an answer without a status")
