"""The operations `store-scu` of a sequence: instances to modalities, over one association for each destination.

An association stays open until the job ends, or until another title at the same address is wanted: some destinations serve one
association at a time. What a crash repeats is one operation, whose instances the destination knows as duplicates.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from actors.services.jobs.operation import Workbench
from actors.services.jobs.operations.named_resources import Operation, instances_of
from actors.services.remote.outgoing import admission
from actors.services.remote.stored_sender import StoredSender, fallbacks_for
from actors.services.remote.target import Target
from actors.wire.errors import RemoteFailed
from events.errors import NotFound
from events.identifiers import ResourceId

UNKNOWN_MODALITY: Final = 7  # Orthanc's number


class ModalitySends:
    """Those of one run of a job."""

    def __init__(
        self,
        bench: Workbench,
        operations: Sequence[Operation],
        resolved: Callable[[int], Operation],
        correlation: bytes,
    ) -> None:
        """`resolved` returns an operation with the resource that it works on, or raises NotFound as long as there is none."""
        self._bench = bench
        self._resolved = resolved
        self._operations = operations
        self._correlation = correlation
        self._open: dict[tuple[str, str], _Sender] = {}  # by modality and our title

    def send(self, number: int, settle: Callable[[], None]) -> None:
        """Send all instances of an operation. Raises NotFound, RemoteFailed and what else ends a C-STORE, Interrupted."""
        sender = self._sender_for(self._operations[number])
        if number not in sender.positions:  # what it sends was made since
            self._close_others_at(sender.target)
            sender = self._sender_for(self._operations[number])
        positions = sender.positions.get(number)
        if positions is None:
            raise NotFound("The resource is not there any more")
        for position in positions:
            sender.sender.check(sender.sender.send(position, settle))

    def _sender_for(self, operation: Operation) -> "_Sender":
        name = operation["modality"], operation["local_aet"]
        sender = self._open.get(name)
        if sender is None:
            sender = self._open[name] = self._make(*name)
        return sender

    def _make(self, name: str, local_aet: str) -> "_Sender":
        bench = self._bench
        modality = bench.modalities.find(name)
        if modality is None:  # removed since the callback
            raise RemoteFailed(f"No modality with symbolic name: {name}", code=UNKNOWN_MODALITY)
        target = bench.scu.target(modality, local_aet=local_aet)
        self._close_others_at(target)
        instances, positions = self._listed(name, local_aet)
        sender = StoredSender(
            bench.views,
            bench.blobs,
            bench.associations,
            target,
            instances,
            bench.codecs,
            fallbacks=fallbacks_for(bench.scu, modality),
            interruption=bench.interruption,
            admits=admission(
                bench.filters, target, lambda: bench.ingest.settings().default_encoding, self._correlation
            ),
        )
        return _Sender(sender, target, positions)

    def _listed(self, name: str, local_aet: str) -> tuple[list[ResourceId], dict[int, range]]:
        """Return all instances that go to a modality, and which of them belong to which operation."""
        instances: list[ResourceId] = []
        positions: dict[int, range] = {}
        for number, operation in enumerate(self._operations):
            if (operation["operation"], operation.get("modality"), operation.get("local_aet")) == (
                "store-scu",
                name,
                local_aet,
            ):
                below = self._instances(number)
                if below:
                    positions[number] = range(len(instances), len(instances) + len(below))
                    instances += below
        return instances, positions

    def _instances(self, number: int) -> list[ResourceId]:
        try:
            return instances_of(self._bench.views, self._resolved(number))
        except NotFound:
            return []

    def _close_others_at(self, target: Target) -> None:
        for name, other in list(self._open.items()):
            if (other.target.host, other.target.port) == (target.host, target.port):
                other.sender.close(keep=False)
                del self._open[name]

    def close(self) -> None:
        for sender in self._open.values():
            sender.sender.close()


class _Sender(NamedTuple):
    sender: StoredSender
    target: Target
    positions: dict[int, range]  # of the instances of each operation, in the sender's list
