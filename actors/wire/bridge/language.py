"""Typed requests, and how they travel: as plain values, `[type, *fields]`, checked where they arrive."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from actors.wire.reply import Reply
from events.errors import InvalidRequest


class Request(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of the requests to actors of other processes."""


R = TypeVar("R", bound=Request)


class Language(Generic[R]):
    """The requests that one actor understands."""

    def __init__(self, actor: str, *requests: type[R]) -> None:
        """`actor` is its name on the bridge."""
        self.actor = actor
        self._types = {request.__name__: request for request in requests}

    def write(self, request: R) -> list[Any]:
        values: list[Any] = msgspec.to_builtins(request, builtin_types=(bytes,))
        return values

    def read(self, values: list[Any]) -> R:
        """Raises InvalidRequest for what is no request of this language."""
        try:
            kind = self._types[values[0]]  # to learn of a union costs 15 µs each time
            return msgspec.convert(values, kind, builtin_types=(bytes,))
        except (LookupError, TypeError, msgspec.ValidationError) as exc:
            raise InvalidRequest(f'the actor "{self.actor}" does not understand this request: {exc}') from None

    def served_by(self, on_request: Callable[[R, Reply], None]) -> dict[str, Callable[[list[Any], Reply], None]]:
        """Return an actor as a bridge serves it: under its name, asked with plain values."""
        return {self.actor: lambda values, reply: on_request(self.read(values), reply)}
