"""A peer's association as services see it: who the peer is, its messages, and whether it still wants an answer."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from actors.wire.dicom.command import Command
from actors.wire.dicom.connection import Connection
from actors.wire.dicom.ending import Malformed
from actors.wire.dicom.pdu import AssociateRequest, Context
from actors.wire.dicom.upper_layer import UpperLayer
from api.dicom.settings import DicomSettings
from store.records import Origin


class Association:
    """For the association's own thread. The end of the association is raised as AssociationEnded."""

    def __init__(
        self,
        connection: Connection,
        upper_layer: UpperLayer,
        request: AssociateRequest,
        storage_contexts: Sequence[Context],
        remote_ip: str,
        settings: DicomSettings,
        slots: AbstractContextManager[object],
    ) -> None:
        self.settings = settings  # as they were when the peer connected
        self.remote_ip = remote_ip
        self.request = request
        self.storage_contexts = storage_contexts  # where the peer takes C-STORE requests of ours
        self.slots = slots  # `with association.slots:` around work that loads this machine, never around the network
        self.origin = Origin(
            kind="DicomProtocol",
            remote_ip=remote_ip,
            remote_aet=request.calling_aet,
            called_aet=request.called_aet,
        )
        self._connection = connection
        self._upper_layer = upper_layer
        self._dataset: Iterator[memoryview] = iter(())

    def receive(self) -> tuple[Context, Command]:
        """The next message: a request, or the response to one of ours. Its dataset, if any, is for `dataset`."""
        message = self._upper_layer.read_command()
        self._dataset = self._upper_layer.read_dataset()
        return message

    def dataset(self) -> Iterator[memoryview]:
        """The dataset behind the command, or what is left of it, as it comes; a view is valid until the next one is asked for."""
        return self._dataset

    def skip_dataset(self) -> None:
        """Read over what is left of the dataset."""
        for _ in self._dataset:
            pass

    def read_identifier(self, limit_bytes: int) -> bytes:
        """The dataset as a whole: that of a query. Raises Malformed beyond the limit."""
        data = bytearray()
        for part in self._dataset:
            data += part
            if len(data) > limit_bytes:
                raise Malformed(f"an identifier of more than {limit_bytes} bytes")
        return bytes(data)

    def send(self, context: Context, command: bytes, dataset: Iterable[bytes] = ()) -> None:
        """Send a response, or a request of our own; its dataset in pieces of any size."""
        self._upper_layer.send(context, command, dataset)

    def send_all(self, context: Context, messages: Iterable[tuple[bytes, Iterable[bytes]]]) -> None:
        """Send responses one behind the other, small ones in one go."""
        self._upper_layer.send_all(context, messages)

    def send_large(self, context: Context, command: bytes, dataset: memoryview) -> None:
        """Send a request with a dataset that is all there, without copying it."""
        self._upper_layer.send_large(context, command, dataset)

    def is_cancelled(self, request: Command) -> bool:
        """Whether the peer has sent a C-CANCEL for `request`, which is being served. Does not wait."""
        return self._upper_layer.is_cancelled(request.message_id)

    def wait_beside(self, other: int) -> None:
        """Wait until the peer has sent something, for `is_cancelled` to look at, or a descriptor can be read."""
        self._connection.wait_beside(other)
