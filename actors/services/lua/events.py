"""Which callback an event calls, with which arguments; pure.

The tables come from the read models at the time of delivery; the callbacks of deletions, updates and jobs take an identifier alone.
Order within one cause, as in Orthanc 1.12.7: series, study, patient for stability.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from actors.services.scripts.filter_values import origin_table
from events.identifiers import Level
from store.records import Origin


class JobEnd(StrEnum):
    SUBMITTED = "Submitted"
    SUCCESS = "Success"
    FAILURE = "Failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One call that is to be made; it may ask for operations (see `chain`)."""

    callback: str
    arguments: tuple[Any, ...]


def _named(level: Level) -> str:
    return level.name.capitalize()


def stored(instance: str, tags: Mapping[str, Any], metadata: Mapping[str, str], origin: Origin) -> Delivery:
    """OnStoredInstance. `tags`: the simplified tags; nulls are absent in Lua."""
    return Delivery(callback="OnStoredInstance", arguments=(instance, tags, metadata, origin_table(origin)))


def stable(level: Level, resource: str, tags: Mapping[str, str], metadata: Mapping[str, str]) -> Delivery:
    """OnStableStudy and its like. `tags`: the main tags of this level alone."""
    return Delivery(callback=f"OnStable{_named(level)}", arguments=(resource, tags, metadata))


def deleted(level: Level, resource: str) -> Delivery:
    return Delivery(callback=f"OnDeleted{_named(level)}", arguments=(resource,))


def updated(level: Level, resource: str) -> Delivery:
    """Metadata or an attachment of it was set or removed."""
    return Delivery(callback=f"OnUpdated{_named(level)}", arguments=(resource,))


def job(end: JobEnd, identifier: str) -> Delivery:
    return Delivery(callback=f"OnJob{end}", arguments=(identifier,))


def heart_beat() -> Delivery:
    return Delivery(callback="OnHeartBeat", arguments=())
