"""The operations `store-peer` of a sequence: instances to a server with Orthanc's REST API, each by `POST /instances`.

What a crash repeats is one operation, whose instances the peer knows as duplicates.
"""

import mmap
from collections.abc import Callable

from actors.services.jobs.operation import Workbench
from actors.services.jobs.operations.named_resources import Operation, instances_of
from events.errors import NotFound
from events.identifiers import ResourceId
from store.records import Instance
from store.views.current import read_current


def send_to_peer(bench: Workbench, operation: Operation, settle: Callable[[], None]) -> None:
    """Send all instances of the resource. Raises NotFound, DamagedFile, RemoteFailed, Interrupted."""
    peer = bench.peers.get(operation["peer"])
    for instance in instances_of(bench.views, operation):
        _, file = read_instance(bench, instance)
        settle()
        bench.peer_client.store(peer, memoryview(file), bench.interruption)


def read_instance(bench: Workbench, instance: ResourceId) -> tuple[Instance, bytes | mmap.mmap]:
    """Return an instance and its file. Raises NotFound, DamagedFile."""
    with bench.views.snapshot() as snapshot:
        record = snapshot.get_instance(instance)
    if record is None:
        raise NotFound("The resource is not there any more")
    try:
        return read_current(bench.views, record, lambda current: (current, bench.blobs.read_instance(current)))
    except FileNotFoundError as exc:
        raise NotFound("The file of an instance is missing") from exc
