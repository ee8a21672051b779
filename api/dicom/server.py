"""The DICOM server of one process: accepts connections on a listening socket and gives each a thread.

`DicomThreadsCount` is the number of operations that may load this machine at once (write an instance durably, run a
query). Handlers take the semaphore `slots` only around such work. A thread that waits for a peer's network
holds no slot, so slow peers cannot hold up others, and this machine alone determines when a slot is given back.
Orthanc counts differently: its threads also receive.

Several processes accept on the same socket. `places` decides which of them takes a connection, and how many associations all of
them may have.
"""

import errno
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable

from actors.wire import metrics
from actors.wire.dicom.connection import Connection, TlsConnection
from actors.wire.dicom.ending import log_fault
from actors.wire.tls import server_context
from api.dicom.acceptor import Acceptor
from api.dicom.places import PATIENCE_STEPS, STEP_MS, Places
from api.dicom.service import Service, Services
from api.dicom.settings import DicomSettings
from events.errors import BadConfiguration

REJECTED_AT_ONCE = 16  # associations beyond the limit that each process tells so; any further connection is just closed
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_DESCRIPTOR_PAUSE_MS = 500

log = logging.getLogger(__name__)


class DicomServer:
    """Serves a listening socket, which it owns from now on and which other processes may share."""

    def __init__(
        self,
        listener: socket.socket,
        services: Iterable[Service],
        settings_now: Callable[[], DicomSettings],
        places: Places | None = None,
    ) -> None:
        """`places` are those of all processes that share the listener; without them there is this one."""
        self._listener = listener
        self._services = Services(services)
        self._settings_now = settings_now
        self._places = places or Places()
        self._rejecting = 0  # associations beyond the limit that are being told so
        self._slots = threading.BoundedSemaphore(max(1, settings_now().threads_count))
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._threads: dict[threading.Thread, Acceptor] = {}
        self._acceptor = threading.Thread(target=self._accept_all, name="dicom-accept", daemon=True)

    @property
    def association_count(self) -> int:
        """Connections being served."""
        return len(self._threads)

    def start(self) -> None:
        self._listener.setblocking(False)  # another process that shares it may be quicker
        self._places.open()
        self._acceptor.start()

    def stop(self, grace_s: float = 5.0) -> None:
        """Take no more connections, abort idle associations, let requests in progress end within `grace_s`, then break them.

        Returns when no thread and no descriptor is left. Call once.
        """
        self._places.close()
        os.eventfd_write(self._wake, 1)
        if self._acceptor.ident is not None:
            self._acceptor.join()
        self._listener.close()
        os.close(self._wake)
        with self._lock:
            running = dict(self._threads)
        for acceptor in running.values():
            acceptor.stop()
        deadline = time.monotonic() + grace_s
        for thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        for thread, acceptor in running.items():
            if thread.is_alive():
                acceptor.kill()
            thread.join()

    def _accept_all(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        only_wake = select.poll()
        only_wake.register(self._wake, select.POLLIN)
        while True:
            if any(descriptor == self._wake for descriptor, _ in poll.poll()):
                return
            if not self._is_ours(only_wake):
                continue
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                continue
            except OSError as exc:
                if exc.errno in _NO_DESCRIPTOR:
                    log.error("no descriptor or memory for another association")
                    only_wake.poll(_NO_DESCRIPTOR_PAUSE_MS)  # the listener stays readable: do not spin on it
                continue
            self._take(sock, address[0].removeprefix("::ffff:"))

    def _is_ours(self, only_wake: select.poll) -> bool:
        """Whether to take the connection that waits: at once if no other process serves less, else if none of those does."""
        for _ in range(PATIENCE_STEPS):
            if self._places.is_our_turn():
                return True
            taken = self._places.taken_ever()
            if only_wake.poll(STEP_MS) or self._places.taken_ever() != taken:
                return False  # the caller looks again
        return True

    def _take(self, sock: socket.socket, remote_ip: str) -> None:
        try:
            sock.setblocking(True)
            settings = self._settings_now()
            connection = open_connection(sock, settings)
        except (OSError, BadConfiguration) as exc:  # the peer is gone already, or certificates are since the start
            log.warning("connection from %s dropped: %s", remote_ip, exc)
            self._drop(sock)
            return
        except Exception as exc:  # noqa: BLE001 # the archive cannot be read just now: the acceptor must outlive it
            log_fault(f"connection from {remote_ip} dropped", exc)
            self._drop(sock)
            return
        has_place = self._places.take(settings.maximum_associations)
        with self._lock:
            is_told = has_place or self._rejecting < REJECTED_AT_ONCE
            self._rejecting += is_told and not has_place
        metrics.CONNECTIONS.add(1, "served" if has_place else "rejected")
        if not is_told:
            log.warning("too many associations: connection from %s closed", remote_ip)
            connection.close()
            return
        metrics.ASSOCIATIONS.add(has_place)
        acceptor = Acceptor(connection, remote_ip, settings, self._services, self._slots, is_over_limit=not has_place)
        try:
            self._start_thread(acceptor, has_place=has_place)
        except RuntimeError as exc:  # there is no thread can be started
            log.warning("connection from %s dropped: %s", remote_ip, exc)
            connection.close()
            self._leave(has_place=has_place)

    def _drop(self, sock: socket.socket) -> None:
        metrics.CONNECTIONS.add(1, "dropped")
        sock.close()

    def _leave(self, *, has_place: bool) -> None:
        if has_place:
            metrics.ASSOCIATIONS.add(-1)
            self._places.give_back()
            return
        with self._lock:
            self._rejecting -= 1

    def _start_thread(self, acceptor: Acceptor, *, has_place: bool) -> None:
        thread = threading.Thread(target=self._run, args=(acceptor, has_place), name="dicom-association", daemon=True)
        with self._lock:
            self._threads[thread] = acceptor
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                del self._threads[thread]
            raise

    def _run(self, acceptor: Acceptor, has_place: bool) -> None:  # a thread's argument
        try:
            acceptor.run()
        finally:
            self._leave(has_place=has_place)
            with self._lock:
                del self._threads[threading.current_thread()]


def open_connection(sock: socket.socket, settings: DicomSettings) -> Connection:
    """The connection over a socket that was accepted; hands are shaken later, by the association's thread."""
    if settings.tls is None:
        return Connection(sock, timeout_s=settings.scp_timeout_s)
    wrapped = server_context(settings.tls).wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    try:
        return TlsConnection(wrapped, timeout_s=settings.scp_timeout_s)
    except OSError:
        wrapped.close()
        raise
