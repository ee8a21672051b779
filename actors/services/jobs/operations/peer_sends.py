"""The operations `store-peer` of a sequence: instances to a server with Orthanc's REST API, each by `POST /instances`.

What a crash repeats is one operation, whose instances the peer knows as duplicates.
"""

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
        file = read_instance(bench, instance)
        settle()
        bench.peer_client.store(peer, file, bench.interruption)


def read_instance(bench: Workbench, instance: ResourceId) -> bytes | memoryview:
    """Return the file of an instance. Raises NotFound, DamagedFile."""
    with bench.views.snapshot() as snapshot:
        record = snapshot.get_instance(instance)
    if record is None:
        raise NotFound("The resource is not there any more")
    try:
        data = read_current(bench.views, record, bench.blobs.read_instance)
        return data if isinstance(data, bytes) else memoryview(data)
    except FileNotFoundError as exc:
        raise NotFound("The file of an instance is missing") from exc
