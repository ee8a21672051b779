"""Messages between the pool and a codec's process: msgpack behind its length, never a pickle.

A request names the file (a descriptor that travels with it), where in it the frame lies, and what is wanted of it. Several travel together
where frames are small. What was made comes back in memory that both processes share, one behind the other; the answer says how many bytes
each has.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from struct import Struct
from typing import Any, Final

import msgpack

from store.dicom.pixels.description import Frame, NativeLayout, PixelDescription

MOST_BYTES: Final = 4 << 20  # of a message: a frame in more fragments than that is none
MOST_TOGETHER: Final = 16  # requests in a message

_LENGTH: Final = Struct("<I")
_FIELDS: Final = tuple(PixelDescription.__dataclass_fields__)
_VALUES: Final = attrgetter(*_FIELDS)  # without the copies of `astuple`, which took a third of what a request costs


class Wanted(StrEnum):
    """What is to be done."""

    NATIVE = "native"  # the frame as uncompressed pixels, color by pixel
    CODESTREAM = "codestream"  # the frame compressed; parameters: transfer syntax, quality of 1 to 100
    PICTURE = "picture"  # parameters: what a Rendition and Transformations pack
    ARRAY = "array"  # parameters: whether values are rescaled, what Transformations pack
    MATLAB = "matlab"  # parameters: what Transformations pack


class Outcome(StrEnum):
    """How it went."""

    DONE = "done"
    REFUSED = "refused"  # this frame cannot be had; the text says why
    UNFIT = "unfit"  # what is wanted cannot hold the pixels; the text says why
    LAST_WORDS = "last"  # the same, and the process ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One frame."""

    wanted: Wanted
    transfer_syntax: str
    frame: Frame
    described: PixelDescription
    parameters: tuple[Any, ...] = ()  # of what is wanted, as plain values


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What became of it."""

    outcome: Outcome
    text: str = ""  # why not
    sizes_bytes: tuple[
        int, ...
    ] = ()  # of what was made of each frame, in shared memory; the last frames may be left to be asked for again
    photometric_interpretation: str = ""  # of the pixels


class PeerGone(Exception):
    """The other process has closed the connection, or talks nonsense."""


def encode_requests(requests: Sequence[Request]) -> bytes:
    return _frame(
        [(each.wanted, each.transfer_syntax, each.frame, _VALUES(each.described), each.parameters) for each in requests]
    )


def decode_requests(body: bytes) -> list[Request]:
    return [_request(*each) for each in msgpack.unpackb(body, use_list=False)]


def _request(wanted: str, syntax: str, frame: Any, values: Any, parameters: tuple[Any, ...]) -> Request:
    described = dict(zip(_FIELDS, values, strict=True))
    layout = described["native"]
    return Request(
        wanted=Wanted(wanted),
        transfer_syntax=syntax,
        frame=Frame(*frame),
        described=PixelDescription(**described | {"native": layout and NativeLayout(*layout)}),
        parameters=parameters,
    )


def encode_reply(reply: Reply) -> bytes:
    return _frame([reply.outcome, reply.text, reply.sizes_bytes, reply.photometric_interpretation])


def decode_reply(body: bytes) -> Reply:
    """Read a reply. Raises PeerGone for what is none."""
    try:
        outcome, text, sizes, photometric = msgpack.unpackb(body)
        return Reply(
            outcome=Outcome(outcome),
            text=str(text),
            sizes_bytes=tuple(map(int, sizes)),
            photometric_interpretation=str(photometric),
        )
    except (ValueError, TypeError, msgpack.UnpackException) as exc:
        raise PeerGone("nonsense") from exc


def _frame(members: Sequence[Any]) -> bytes:
    body: bytes = msgpack.packb(members)
    return _LENGTH.pack(len(body)) + body


def send_with_files(link: socket.socket, message: bytes, files: Sequence[int]) -> None:
    """Send a message; descriptors go with its first bytes. Raises OSError."""
    sent = socket.send_fds(link, [message], files)
    if sent < len(message):
        link.sendall(memoryview(message)[sent:])


def receive(link: socket.socket) -> bytes:
    """Wait for a message. Raises PeerGone, OSError."""
    return _receive_body(link, b"")


def receive_with_files(link: socket.socket) -> tuple[bytes, list[int]]:
    """Wait for a message and the descriptors that come with it. Raises PeerGone, OSError."""
    head, files, _, _ = socket.recv_fds(link, _LENGTH.size, MOST_TOGETHER)
    if not head:
        raise PeerGone("closed")
    return _receive_body(link, head), files


def _receive_body(link: socket.socket, head: bytes) -> bytes:
    head += _receive_exactly(link, _LENGTH.size - len(head))
    (length,) = _LENGTH.unpack(head)
    if length > MOST_BYTES:
        raise PeerGone("nonsense")
    return _receive_exactly(link, length)


def _receive_exactly(link: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = link.recv(count)
        if not part:
            raise PeerGone("closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
