"""A DICOM server on a free port of loopback, with a fake ingest; afterwards no thread or descriptor of it may be left."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from api.dicom.echo_scp import create_echo_service
from api.dicom.server import DicomServer
from api.dicom.settings import DicomSettings
from api.dicom.store_scp import create_store_service
from tests.contract.dicom_fakes import FakeIngest


class RunningServer:
    """`settings` may be replaced while it runs; the next association gets them."""

    def __init__(self, settings: DicomSettings) -> None:
        self.settings = settings
        self.ingest = FakeIngest()
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = listener.getsockname()[1]
        services = create_echo_service(), create_store_service(self.ingest)
        self.server = DicomServer(listener, services, lambda: self.settings)
        self._is_stopped = False

    def stop(self, grace_s: float = 10.0) -> None:
        if not self._is_stopped:
            self._is_stopped = True
            self.server.stop(grace_s)


def open_descriptors() -> set[str]:
    """What the process's sockets and event descriptors are."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.add(str(entry.readlink()) + " " + entry.name)
    return {what for what in found if what.startswith(("socket:", "anon_inode:"))}


@contextmanager
def serve(settings: DicomSettings | None = None) -> Iterator[RunningServer]:
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    running = RunningServer(settings or DicomSettings())
    running.server.start()
    try:
        yield running
    finally:
        running.stop()
    ours = [thread for thread in threading.enumerate() if thread not in threads and thread.name.startswith("dicom-")]
    assert not ours
    assert open_descriptors() <= descriptors
    assert running.server.association_count == 0
