"""The operations `store-peer` of a sequence: instances to a server with Orthanc's REST API, each by `POST /instances`.

What a crash repeats is one operation, whose instances the peer knows as duplicates.
"""

import threading
from collections.abc import Callable

from actors.services.jobs.operation import Workbench
from actors.services.jobs.operations.named_resources import Operation, instances_of
from events.errors import NotFound
from events.identifiers import ResourceId
from store.views.current import read_current


def send_to_peer(bench: Workbench, operation: Operation, settle: Callable[[], None]) -> None:
    """Send all instances of the resource. Raises NotFound, DamagedFile, RemoteFailed, Interrupted."""
    peer = bench.peers.get(operation["peer"])
    for instance in instances_of(bench.views, operation):
        file = _read(bench, instance)
        settle()
        _interruptible(bench, lambda file=file: bench.peers.store(peer, file))  # type: ignore[misc]  # binds the loop's


def _read(bench: Workbench, instance: ResourceId) -> bytes | memoryview:
    with bench.views.snapshot() as snapshot:
        record = snapshot.get_instance(instance)
    if record is None:
        raise NotFound("The resource is not there any more")
    try:
        data = read_current(bench.views, record, bench.blobs.read_instance)
        return data if isinstance(data, bytes) else memoryview(data)
    except FileNotFoundError as exc:
        raise NotFound("The file of an instance is missing") from exc


def _interruptible(bench: Workbench, request: Callable[[], None]) -> None:
    """Make a request in a thread that is left to itself if the run is to end: the client's sockets cannot be hung up."""
    errors: list[BaseException] = []  # whatever they are: without one the instance counts as sent, and may be deleted
    over = threading.Event()

    def work() -> None:
        try:
            request()
        except BaseException as exc:  # noqa: BLE001 # it is raised where the request is waited for
            errors.append(exc)
        finally:
            over.set()

    threading.Thread(target=work, name="store-peer", daemon=True).start()
    with bench.interruption.watch(over.set):
        over.wait()
    bench.interruption.check()
    if errors:
        raise errors[0]
