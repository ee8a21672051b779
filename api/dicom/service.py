"""DICOM services, and how a request finds the one that answers it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Command, Element, Field
from actors.wire.dicom.pdu import Context
from api.dicom.association import Association


@dataclass(frozen=True, slots=True)
class FinalResponse:
    """The response that ends a request."""

    status: int
    elements: Mapping[Element, int | str] = field(default_factory=dict)  # besides those of every response
    dataset: tuple[bytes, ...] = ()


# Serves one request: reads its dataset (what it leaves is read over) and sends the pending responses. Called in the
# association's thread.
Handler = Callable[[Association, Context, Command], FinalResponse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One kind of request that this server answers."""

    field: Field
    operation: Operation  # what the peer must be allowed
    handle: Handler
    explain: Callable[[Exception], FinalResponse] | None = None  # what a failure is answered by; None: by an abort
    abstract_syntaxes: frozenset[str] = frozenset()  # to be accepted besides the storage classes


class Services:
    """All services, by the request's field and the abstract syntax of its context.

    If no service of the field names the context's syntax, the service that names none answers, else the first one. So a C-STORE
    finds its service, and a C-ECHO or a C-FIND is answered in any context, as by Orthanc 1.12.7.
    """

    def __init__(self, services: Iterable[Service]) -> None:
        """Raises ValueError if one service would hide another."""
        self._by_key: dict[tuple[int, str], Service] = {}
        self._by_field: dict[int, Service] = {}
        for service in services:
            for syntax in service.abstract_syntaxes:
                _add(self._by_key, (service.field, syntax), service)
            if not service.abstract_syntaxes:
                _add(self._by_field, service.field, service)
        for (number, _), service in self._by_key.items():
            self._by_field.setdefault(number, service)
        self.abstract_syntaxes = frozenset(syntax for _, syntax in self._by_key)

    def find(self, number: int, abstract_syntax: str) -> Service | None:
        return self._by_key.get((number, abstract_syntax)) or self._by_field.get(number)


_K = TypeVar("_K")


def _add(services: dict[_K, Service], key: _K, service: Service) -> None:
    if services.setdefault(key, service) is not service:
        where = f"the abstract syntax {key[1]}" if isinstance(key, tuple) else "any abstract syntax"
        raise ValueError(
            f"two services answer {service.field.name} in {where}; each needs an abstract syntax of its own"
        )
