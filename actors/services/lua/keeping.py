"""SetStableStatus(), StoreKeyValue(), GetKeyValue(), DeleteKeyValue(): functions by which scripts keep state in the server.

    SetStableStatus(resourceId, isStable)      true if that changed something; nil if there is no such patient, study or series
    StoreKeyValue(store, key, value)           true
    GetKeyValue(store, key)                    the value, a string; nil if there is none
    DeleteKeyValue(store, key)                 true if there was one

Strings are bytes, numbers count as strings. Wrong arguments and failures are logged and give nil. These functions came after
Orthanc 1.12.7; names and purpose are Orthanc's, the results are ours. Values outlive a restart.
"""

import logging
from collections.abc import Callable
from typing import Any

from actors.messages.index_client import IndexClient
from actors.services.lua.host_functions import HostFunction
from actors.services.scripts.values import number_text
from events.errors import SinogramError
from events.identifiers import new_correlation, parse_resource_id
from store.views.key_values import get_value
from store.views.views import Views

log = logging.getLogger(__name__)


def keeping_functions(index: IndexClient, views: Views, correlation: Callable[[], bytes]) -> dict[str, HostFunction]:
    """`correlation` is that of the callback under way."""

    def events_of() -> bytes:
        return correlation() or new_correlation()

    def set_stable_status(*arguments: Any) -> bool | None:
        resource = None
        match arguments:
            case [bytes(name), bool(is_stable)]:
                resource = parse_resource_id(name.decode("utf-8", "replace"))
        if resource is None:
            _refuse("SetStableStatus")
            return None
        return _attempt(
            "SetStableStatus", lambda: index.set_stability(resource, is_stable=is_stable, correlation=events_of())
        )

    def store_key_value(*arguments: Any) -> bool | None:
        match _texts(arguments):
            case [store, key, value]:
                pass
            case _:
                _refuse("StoreKeyValue")
                return None

        def keep() -> bool:
            index.store_key_value(store, key, value, events_of())
            return True

        return _attempt("StoreKeyValue", keep)

    def get_key_value(*arguments: Any) -> bytes | None:
        match _texts(arguments):
            case [store, key]:
                with views.snapshot() as snapshot:
                    return get_value(snapshot, store, key)
        _refuse("GetKeyValue")
        return None

    def delete_key_value(*arguments: Any) -> bool | None:
        match _texts(arguments):
            case [store, key]:
                return _attempt("DeleteKeyValue", lambda: index.delete_key_value(store, key, events_of()))
        _refuse("DeleteKeyValue")
        return None

    return {
        "SetStableStatus": set_stable_status,
        "StoreKeyValue": store_key_value,
        "GetKeyValue": get_key_value,
        "DeleteKeyValue": delete_key_value,
    }


def _texts(arguments: tuple[Any, ...]) -> list[bytes]:
    """Return strings; none if the arguments are something else."""
    if any(isinstance(argument, bool) or not isinstance(argument, bytes | int | float) for argument in arguments):
        return []
    return [argument if isinstance(argument, bytes) else number_text(argument) for argument in arguments]


def _refuse(name: str) -> None:
    log.error("Lua: Bad parameters to %s()", name)


def _attempt(name: str, do: Callable[[], bool]) -> bool | None:
    try:
        return do()
    except SinogramError as exc:
        log.error("Lua: Error in %s(): %s", name, exc)
        return None
