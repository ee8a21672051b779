"""A TCP connection to a host, with waits that an interruption ends at once."""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator

from actors.wire.errors import RemoteFailed, Trouble
from actors.wire.interruption import Interruption

_PAUSE_S = 0.02  # before a host that has refused is asked again

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def dial(
    host: str, port: int, *, peer: str, timeout_s: float, interruption: Interruption, patience_s: float = 0.0
) -> socket.socket:
    """Connect to the first address of a host that answers, all within `timeout_s` (0: as long as the kernel tries).

    A host that refuses is asked again for `patience_s`. `peer` names the remote in errors. Raises RemoteFailed, Interrupted.
    """
    began = time.monotonic()
    deadline = began + timeout_s if timeout_s else None
    with _waker() as wake, interruption.watch(lambda: os.eventfd_write(wake, 1)):
        addresses = _resolve(host, port, peer, wake, deadline, interruption)
        failure = OSError("no address")
        while True:
            for address in addresses:
                try:
                    return _connect(address, wake, deadline, interruption)
                except OSError as exc:
                    failure = exc
            if not isinstance(failure, ConnectionRefusedError) or time.monotonic() >= began + patience_s:
                break
            with contextlib.suppress(TimeoutError):
                _wait(wake, select.POLLIN, wake, time.monotonic() + _PAUSE_S)
            interruption.check()
    kind = Trouble.TIMEOUT if isinstance(failure, TimeoutError) else Trouble.UNREACHABLE
    reason = failure.strerror or str(failure)
    raise RemoteFailed(
        f'DicomAssociation - connecting to AET "{peer}": TCP Initialization Error: {reason}', trouble=kind
    ) from failure


@contextlib.contextmanager
def _waker() -> Iterator[int]:
    wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        yield wake
    finally:
        os.close(wake)


def _connect(address: Address, wake: int, deadline: float | None, interruption: Interruption) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(where)
        _wait(sock.fileno(), select.POLLOUT, wake, deadline)
        interruption.check()
        _check(sock)
        sock.setblocking(True)
    except BaseException:
        sock.close()
        raise
    return sock


def _check(sock: socket.socket) -> None:
    """Raise the OSError with which connecting has ended, if any."""
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


def _wait(descriptor: int, event: int, wake: int, deadline: float | None) -> None:
    """Wait for a descriptor, an interruption, or the deadline. Raises TimeoutError."""
    poll = select.poll()
    poll.register(descriptor, event)
    poll.register(wake, select.POLLIN)
    limit_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    if not poll.poll(limit_ms):
        raise TimeoutError("timed out")


def _resolve(
    host: str, port: int, peer: str, wake: int, deadline: float | None, interruption: Interruption
) -> list[Address]:
    """Return the addresses of a host. A name is looked up in a thread of its own, since the resolver cannot be stopped."""
    with contextlib.suppress(socket.gaierror):
        return _lookup(host, port, socket.AI_NUMERICHOST)
    lookup = _Lookup(host, port)
    try:
        lookup.start()
        _wait(lookup.done, select.POLLIN, wake, deadline)
        interruption.check()
        return lookup.result()
    except TimeoutError as exc:
        text = f'DicomAssociation - connecting to AET "{peer}": the host name {host} is not resolved in time'
        raise RemoteFailed(text, trouble=Trouble.TIMEOUT) from exc
    except OSError as exc:  # socket.gaierror among them
        text = f'DicomAssociation - connecting to AET "{peer}": Attempt to connect to unknown host: {host}'
        raise RemoteFailed(text, trouble=Trouble.UNREACHABLE) from exc
    finally:
        lookup.leave()


def _lookup(host: str, port: int, flags: int = 0) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except ValueError as exc:  # what can be no name: a NUL, a label that is too long, no text at all
        raise socket.gaierror(socket.EAI_NONAME, str(exc)) from exc
    return [(family, where) for family, _, _, _, where in found]


class _Lookup:
    """One look-up, in a thread that may outlive the interest in it."""

    def __init__(self, host: str, port: int) -> None:
        self.done = os.eventfd(0, os.EFD_CLOEXEC)  # readable when there is a result
        self._host = host
        self._port = port
        self._found: list[Address] = []
        self._error: OSError | None = None
        self._lock = threading.Lock()
        self._users = 1

    def start(self) -> None:
        thread = threading.Thread(target=self._run, name="dicom-resolve", daemon=True)
        self._users += 1
        try:
            thread.start()
        except RuntimeError as exc:
            self._users -= 1
            raise OSError("no thread can be started") from exc

    def result(self) -> list[Address]:
        """Return what was found. Raises OSError."""
        if self._error is not None:
            raise self._error
        return self._found

    def leave(self) -> None:
        """Give the look-up up; the last side to do so closes the descriptor."""
        with self._lock:
            self._users -= 1
            if not self._users:
                os.close(self.done)

    def _run(self) -> None:
        try:
            self._found = _lookup(self._host, self._port)
        except OSError as exc:
            self._error = exc
        except UnicodeError:  # no host name: an empty or overlong label
            self._error = OSError("not a host name")
        os.eventfd_write(self.done, 1)
        self.leave()
