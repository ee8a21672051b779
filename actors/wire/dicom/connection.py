"""A connected socket: blocking reads with a limit, into one buffer that is reused, and what TCP needs to be quick.

Nothing polls: the limits are the kernel's (SO_RCVTIMEO, SO_SNDTIMEO), so that a read is a single system call. Nagle's
algorithm in DCMTK-based senders holds back the end of a message until we acknowledge its beginning, and the kernel
likes to acknowledge 40 ms late: TCP_QUICKACK, which the kernel forgets, is set again before each read. TCP_NODELAY does
the same for our own answers.
"""

import contextlib
import math
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from itertools import islice

from actors.wire.dicom.ending import ConnectionLost, PeerSilent, TlsFailed

PARTS_AT_ONCE = 512  # of a gathered write; Linux takes 1024
BUFFER_BYTES = 1 << 17  # of each connection; 8 PDUs of Orthanc's default length, one of the longest it allows


class Connection:
    """Reads and writes one socket. One thread at a time, except `hang_up` and `stop_reading`, which any may call."""

    def __init__(self, sock: socket.socket, *, timeout_s: float) -> None:
        self._socket = sock
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0  # of what has been received and not taken
        self._end = 0
        self._deadline: float | None = None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.set_timeout(timeout_s)

    def prepare(self) -> None:
        """Do what must be done before the first byte; here nothing. Raises ConnectionLost, PeerSilent."""

    def set_timeout(self, timeout_s: float) -> None:
        """Let no single read or write last longer; 0: no limit. Lifts a deadline."""
        self._deadline = None
        self._set_limit(socket.SO_RCVTIMEO, timeout_s)
        self._set_limit(socket.SO_SNDTIMEO, timeout_s)

    def set_deadline(self, seconds: float) -> None:
        """Let all reads from now on end within `seconds` together, however the peer drips its bytes."""
        self._deadline = time.monotonic() + seconds

    def _set_limit(self, option: int, seconds: float) -> None:
        microseconds = math.ceil(seconds * 1_000_000)
        self._socket.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", *divmod(microseconds, 1_000_000)))

    @property
    def buffered(self) -> int:
        """Bytes received and not yet taken."""
        return self._end - self._start

    def peek(self, count: int) -> memoryview:
        """Wait for `count` bytes (at most BUFFER_BYTES) and show them. Raises ConnectionLost, PeerSilent."""
        while self._end - self._start < count:
            if self._start + count > BUFFER_BYTES:
                self._compact()
            self._receive()
        return self._view[self._start : self._start + count]

    def take(self, count: int) -> memoryview:
        """Wait for `count` bytes (at most BUFFER_BYTES) and take them; valid until the next read."""
        taken = self.peek(count)
        self._start += count
        return taken

    def take_some(self, limit: int) -> memoryview:
        """Take at least one byte, at most `limit`, as many as are there; valid until the next read."""
        if self._start == self._end:
            self._receive()
        count = min(limit, self._end - self._start)
        self._start += count
        return self._view[self._start - count : self._start]

    def take_all(self, count: int) -> bytes:
        """Take exactly `count` bytes, however many."""
        parts = []
        while count:
            part = self.take_some(count)
            parts.append(bytes(part))
            count -= len(part)
        return b"".join(parts)

    def receive_now(self) -> None:
        """Receive what is there without waiting. Raises ConnectionLost."""
        if self._end == BUFFER_BYTES:
            self._compact()
        if self._end < BUFFER_BYTES:
            with contextlib.suppress(BlockingIOError):
                self._receive(wait=False)

    def wait_beside(self, other: int) -> None:
        """Wait, without limit, until more can be received or another descriptor can be read; what is buffered does not count."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(other, select.POLLIN)
        poll.poll()

    def _compact(self) -> None:
        rest = bytes(self._view[self._start : self._end])  # a copy: source and target may overlap
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def _receive(self, *, wait: bool = True) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        try:
            if self._deadline is not None:
                self._set_limit(socket.SO_RCVTIMEO, self._time_left())
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            count = self._receive_into(self._view[self._end :], wait=wait)
        except BlockingIOError as exc:
            if not wait:
                raise
            raise PeerSilent("the peer is silent") from exc
        except OSError as exc:
            raise _explain(exc) from exc
        if not count:
            raise ConnectionLost("closed by the peer")
        self._end += count

    def _receive_into(self, view: memoryview, *, wait: bool) -> int:
        """Receive at least one byte, or 0 at the end of the stream. Raises BlockingIOError when it takes too long."""
        return self._socket.recv_into(view, 0, 0 if wait else socket.MSG_DONTWAIT)

    def _time_left(self) -> float:
        left = (self._deadline or 0) - time.monotonic()
        if left <= 0:
            raise PeerSilent("the deadline has passed")
        return left

    def send(self, data: bytes | bytearray) -> None:
        """Send everything. Raises ConnectionLost, PeerSilent."""
        self.send_parts((data,))

    def send_parts(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send several pieces one behind the other without copying them together. Raises ConnectionLost, PeerSilent."""
        try:
            self._send_parts(parts)
        except (BlockingIOError, TimeoutError) as exc:
            raise PeerSilent("the peer does not read") from exc
        except OSError as exc:
            raise _explain(exc) from exc

    def _send_parts(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        if len(parts) == 1:
            self._socket.sendall(parts[0])
            return
        waiting = iter(parts)
        while batch := [memoryview(part) for part in islice(waiting, PARTS_AT_ONCE)]:
            sent = self._socket.sendmsg(batch)
            for part in batch:  # what a signal or a full buffer has left over
                if sent < len(part):
                    self._socket.sendall(part[sent:])
                sent = max(0, sent - len(part))

    def send_now(self, data: bytes) -> None:
        """Send what the kernel takes without waiting. Never raises: these are last words."""
        with contextlib.suppress(OSError):
            self._send_now(data)

    def _send_now(self, data: bytes) -> None:
        self._socket.send(data, socket.MSG_DONTWAIT)

    def finish(self, linger_s: float) -> None:
        """After the last PDU: wait a little for the peer to close, so that a reset does not overtake what was sent."""
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            self.set_deadline(linger_s)
            while True:
                self._start = self._end = 0
                self._receive()
        except (OSError, ConnectionLost, PeerSilent):
            return

    def stop_reading(self) -> None:
        """Let the thread that waits for bytes find the connection closed; what has arrived is still read."""
        self._shut_down(socket.SHUT_RD)

    def hang_up(self) -> None:
        """Let every read and write in progress fail."""
        self._shut_down(socket.SHUT_RDWR)

    def _shut_down(self, how: int) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, how)  # of the TCP connection, also below TLS

    def close(self) -> None:
        self._socket.close()


def _explain(error: OSError) -> ConnectionLost:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(f"TLS: the peer's certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError):
        return ConnectionLost("closed by the peer during TLS")
    if isinstance(error, ssl.SSLError):
        return TlsFailed(f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}")
    return ConnectionLost(error.strerror or str(error))


class TlsConnection(Connection):
    """The same over TLS; the limits are those of the `ssl` module, which would try again behind the kernel's."""

    _socket: ssl.SSLSocket

    def __init__(self, sock: ssl.SSLSocket, *, timeout_s: float) -> None:
        """`sock` is wrapped with `do_handshake_on_connect=False`; `prepare` shakes hands, in the thread that calls it."""
        super().__init__(sock, timeout_s=timeout_s)
        self._is_ready = False  # hands are shaken; before, a write would begin to shake them, without our limits

    def prepare(self) -> None:
        if self._deadline is not None:
            self._socket.settimeout(self._time_left())
        try:
            self._socket.do_handshake()
        except TimeoutError as exc:
            raise PeerSilent("the peer is silent in the TLS handshake") from exc
        except OSError as exc:
            raise _explain(exc) from exc
        self._is_ready = True

    def wait_beside(self, other: int) -> None:
        if not self._socket.pending():
            super().wait_beside(other)

    def _set_limit(self, option: int, seconds: float) -> None:  # noqa: ARG002 # one limit for both directions
        self._socket.settimeout(seconds or None)

    def _receive_into(self, view: memoryview, *, wait: bool) -> int:
        if wait:
            try:
                return self._socket.recv_into(view)
            except TimeoutError as exc:
                raise BlockingIOError from exc
        limit = self._socket.gettimeout()
        self._socket.settimeout(0)
        try:
            return self._socket.recv_into(view)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as exc:
            raise BlockingIOError from exc
        finally:
            self._socket.settimeout(limit)

    def _send_parts(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        if not self._is_ready:
            raise ConnectionLost("TLS has not begun")
        self._socket.sendall(b"".join(parts))

    def _send_now(self, data: bytes) -> None:
        if self._is_ready:
            self._socket.settimeout(0)
            self._socket.send(data)
