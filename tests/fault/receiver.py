"""A storage SCP that counts what it is sent, in the process of the test: it outlives the server that sends."""

import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.dicom.echo_scp import create_echo_service
from api.dicom.server import DicomServer
from api.dicom.settings import DicomSettings
from api.dicom.store_scp import create_store_service
from tests.contract.dicom_fakes import FakeIngest, FakeUpload

_SOP_UID = re.compile(rb"2\.25\.3(\d{12})")  # as tests.fault.instances makes them


class Receiver:
    """Counts instances by their numbers. Thread-safe."""

    def __init__(self, port: int, hold: Callable[[], object]) -> None:
        self.port = port
        self._hold = hold
        self.counts: Counter[int] = Counter()
        self._allowed = sys.maxsize
        self.changed = threading.Condition()

    def note(self, upload: FakeUpload) -> None:
        found = _SOP_UID.search(upload.data)
        assert found is not None
        with self.changed:
            self.counts[int(found[1])] += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: len(self.counts) <= self._allowed)
        self._hold()

    def allow(self, instances: int = sys.maxsize) -> None:
        """Leave the one after so many instances without an answer, until more are allowed."""
        with self.changed:
            self._allowed = instances
            self.changed.notify_all()

    def wait_for(self, instances: int, deadline_s: float = 60.0) -> None:
        """Wait until so many different instances have come."""
        with self.changed:
            came = self.changed.wait_for(lambda: len(self.counts) >= instances, deadline_s)
            assert came, f"{len(self.counts)} instances have come, not {instances}"

    @property
    def repeated(self) -> int:
        """How many came once more than once."""
        with self.changed:
            return sum(self.counts.values()) - len(self.counts)


@contextmanager
def receive(hold: Callable[[], object] = lambda: None) -> Iterator[Receiver]:
    """A receiver on a free port of loopback; `hold` is called after each instance, before it is answered."""
    ingest = FakeIngest()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    receiver = Receiver(listener.getsockname()[1], hold)
    ingest.on_store = receiver.note
    server = DicomServer(listener, (create_echo_service(), create_store_service(ingest)), DicomSettings)
    server.start()
    try:
        yield receiver
    finally:
        server.stop(1.0)
