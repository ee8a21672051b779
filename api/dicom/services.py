"""What a DICOM service offers to an association, and the registry by which commands find their service."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Field
from actors.wire.dicom.pdu import Context

if TYPE_CHECKING:
    from api.dicom.association import Association

# Serves one request and sends its response(s). Called in the association's thread. A dataset that it does not read is
# read over; what it raises is answered by an abort.
Handler = Callable[["Association", Context, Command], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One kind of request this server answers."""

    field: Field
    operation: Callable[[Context], Operation]  # what the peer must be allowed
    handle: Handler
    abstract_syntaxes: frozenset[str] = frozenset()  # to be accepted besides the storage classes


class Services:
    """All services. The command's field alone finds the handler: like Orthanc, a C-ECHO is answered in any context."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._by_field = {service.field: service for service in services}
        self.abstract_syntaxes = frozenset[str]().union(*(s.abstract_syntaxes for s in self._by_field.values()))

    def find(self, field: int) -> Service | None:
        return self._by_field.get(field)  # type: ignore[call-overload, no-any-return] # an int finds its IntEnum
