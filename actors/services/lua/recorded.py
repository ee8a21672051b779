"""Deliveries of old events, whose resources may be gone: the log still has their main tags."""

from collections.abc import Mapping
from typing import Any

from actors.services.lua import events as causes
from actors.services.lua.caused_calls import DeliveryReader
from actors.services.lua.events import Delivery
from events.errors import DamagedFile, InvalidDicom
from events.event import Event
from events.identifiers import Level, Ref, Seq, format_resource_id
from events.resources import InstanceStored, PatientCreated, SeriesCreated, StudyCreated
from store.dicom.dictionary import tag_name
from store.dicom.indexed_tags import is_sequence


class RecordedDeliveries(DeliveryReader):
    """Tells of deleted resources, too: with their main tags, as the log has them.

    `is_partial` says whether the last event that was read had to be completed in this way.
    """

    is_partial = False

    def read(self, *arguments: Any, **named: Any) -> Any:
        self.is_partial = False
        return super().read(*arguments, **named)

    def _read_tags(self, event: InstanceStored) -> Mapping[str, Any]:
        try:
            return super()._read_tags(event)
        except (OSError, DamagedFile, InvalidDicom):
            self.is_partial = True
            return _texts(*self._parents(event), event)

    def _stable(self, level: Level, ref: Ref) -> list[Delivery]:
        if found := super()._stable(level, ref):
            return found
        _, created = self._event(Seq(ref))
        if not isinstance(created, PatientCreated | StudyCreated | SeriesCreated):
            return []
        self.is_partial = True
        return [causes.stable(level, format_resource_id(created.id), _texts(created), {})]

    def _parents(self, event: InstanceStored) -> list[Event | None]:
        return [self._event(Seq(ref))[1] for ref in (event.patient, event.study, event.series)]


def _texts(*events: Event | None) -> dict[str, str]:
    """Return the main tags of resources by their names."""
    tags: dict[int, str] = {}
    for event in events:
        if isinstance(event, PatientCreated | StudyCreated | SeriesCreated | InstanceStored):
            tags |= event.tags
    return {tag_name(tag): text for tag, text in tags.items() if not is_sequence(tag, text)}
