"""From the log to callbacks: which calls a row of the log causes, with their arguments.

A callback's tables about an instance come from its event and its file. The file is kept until the log's consumers have passed it, so
a callback sees an instance as it was even if it has been deleted since, but for the metadata that clients have set. A callback
about a stable resource sees it as it is now, and is not called if the resource is gone.
"""

import logging
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from actors.services.lua import events as causes
from actors.services.lua.events import Delivery, JobEnd
from actors.services.scripts.filter_values import simplified_tags
from events import envelope
from events.attachments import USER_NUMBERS, AttachmentRemoved, AttachmentRepacked, AttachmentSet
from events.envelope import Record
from events.errors import DamagedFile, InvalidDicom
from events.event import Event
from events.identifiers import Level, Ref, Seq, format_resource_id, new_correlation
from events.jobs import JobCancelled, JobFailed, JobSubmitted, JobSucceeded
from events.metadata import MetadataRemoved, MetadataSet
from events.received import ReceivedInstance, facts
from events.resources import InstanceReceivedAgain, InstanceStored, ResourceDeleted, ResourceStabilized, RowsPurged
from store.blobs.store import BlobStore
from store.blobs.writer import is_kept
from store.dicom.dictionary import tag_name
from store.dicom.indexed_tags import is_sequence
from store.dicom.tags import SOP_CLASS_UID
from store.instance_heads import read_head
from store.log import read_event
from store.records import Instance, Origin
from store.tables import EVENTS, PERSONAL, key
from store.views.metadata import MetadataNaming, show_metadata, sources_in_log
from store.views.resource_tags import main_tags
from store.views.views import Views

log = logging.getLogger(__name__)

_UPDATES: Final = (MetadataSet, MetadataRemoved, AttachmentSet, AttachmentRemoved, AttachmentRepacked)
_TAGS_OF: Final = {
    "OnStoredInstance": envelope.tags_of(InstanceStored, InstanceReceivedAgain),
    "OnJobSubmitted": envelope.tags_of(JobSubmitted),
    "OnJobSuccess": envelope.tags_of(JobSucceeded),
    "OnJobFailure": envelope.tags_of(JobFailed, JobCancelled),
    **{
        f"OnStable{level.name.capitalize()}": envelope.tags_of(ResourceStabilized)
        for level in Level
        if level != Level.INSTANCE
    },
    **{f"OnUpdated{level.name.capitalize()}": envelope.tags_of(*_UPDATES) for level in Level},
    **{f"OnDeleted{level.name.capitalize()}": envelope.tags_of(ResourceDeleted, RowsPurged) for level in Level},
}


def tags_of(defines: Callable[[str], bool]) -> frozenset[str]:
    """Return the tags of the events that concern the callbacks which are defined."""
    return frozenset(tag for name, tags in _TAGS_OF.items() if defines(name) for tag in tags)


@dataclass(frozen=True, slots=True)
class Caused:
    """The calls that one row of the log causes."""

    correlation: bytes  # of the request that caused the event; one of its own where there was none
    deliveries: list[tuple[int, Delivery]]  # each with its number among all that the row causes


class DeliveryReader:
    """Reads rows of the log as deliveries."""

    def __init__(
        self, views: Views, blobs: BlobStore, default_encoding: Callable[[], str], naming: MetadataNaming
    ) -> None:
        self._views = views
        self._naming = naming
        self._blobs = blobs
        self._default_encoding = default_encoding

    def read(self, seq: Seq, row: bytes, personal: bytes | None, defines: Callable[[str], bool]) -> Caused:
        """Return the calls that a row causes, of callbacks that are defined; none if its personal part was erased."""
        record = envelope.decode_record(seq, row)
        correlation = record.correlation or new_correlation()
        nothing = Caused(correlation, [])
        if not any(record.tag in tags and defines(name) for name, tags in _TAGS_OF.items()):
            return nothing
        event = envelope.decode_event(record, personal)
        if event is None:
            return nothing
        caused = enumerate(self._deliveries(record, event))
        found = [(number, delivery) for number, delivery in caused if defines(delivery.callback)]
        return Caused(correlation, found)

    def read_again(self, seq: Seq, defines: Callable[[str], bool]) -> Caused:
        """Return the calls that an earlier row causes, read again."""
        with self._views.snapshot() as snapshot:
            row, personal = snapshot.row(EVENTS, key(seq)), snapshot.row(PERSONAL, key(seq))
        return Caused(b"", []) if row is None else self.read(seq, row, personal, defines)

    def _deliveries(self, record: Record, event: Event) -> list[Delivery]:
        match event:
            case InstanceStored():
                return self._stored(record.seq, record.at_us, event, Origin.of(event))
            case InstanceReceivedAgain():
                return self._received_again(event)
            case ResourceStabilized():
                return self._stable(Level(event.level), event.resource)
            case ResourceDeleted() if event.level == Level.INSTANCE:  # all others are told of as their rows go
                return [causes.deleted(Level.INSTANCE, format_resource_id(event.id))]
            case RowsPurged():
                return [causes.deleted(Level(level), format_resource_id(gone)) for level, gone in event.deleted]
            case MetadataSet() | MetadataRemoved() | AttachmentSet() | AttachmentRemoved() | AttachmentRepacked():
                if event.number not in USER_NUMBERS:  # a DICOM file is compressed, or not any more
                    return []
                return [causes.updated(Level(event.level), format_resource_id(event.id))]
            case JobSubmitted():
                return [causes.job(JobEnd.SUBMITTED, str(UUID(bytes=event.id)))]
            case JobSucceeded():
                return self._job(JobEnd.SUCCESS, event.job)
            case JobFailed() | JobCancelled():
                return self._job(JobEnd.FAILURE, event.job)
            case _:
                return []

    def _stored(self, seq: Seq, at_us: int, event: InstanceStored, told: Origin) -> list[Delivery]:
        try:
            tags = self._read_tags(event)
        except (
            OSError,
            ValueError,
            DamagedFile,
            InvalidDicom,
        ) as exc:  # its file was lost, damaged or emptied; mmap refuses an empty one
            log.error("lua.file-unreadable seq=%d: no callback is called for this instance: %s", seq, exc)
            return []
        known = facts(ReceivedInstance, event)
        instance = Instance(ref=Ref(seq), parent=event.series, received_us=at_us, **known)
        with self._views.snapshot() as snapshot:
            metadata = show_metadata(snapshot, instance, self._naming, "surrogateescape")
            if snapshot.find(event.id) != (Level.INSTANCE, instance.ref):  # else a script would take it for an original
                metadata |= sources_in_log(snapshot, instance.ref)
        return [causes.stored(format_resource_id(event.id), tags, metadata, told)]

    def _received_again(self, again: InstanceReceivedAgain) -> list[Delivery]:
        """An instance that was there already was sent again: told of as when it was stored, with the origin of this time."""
        record, event = self._event(Seq(again.instance))
        if record is None or not isinstance(event, InstanceStored):
            return []
        return self._stored(record.seq, record.at_us, event, Origin.of(again))

    def _read_tags(self, event: InstanceStored) -> Mapping[str, Any]:
        if not is_kept(event.blob):
            return self._indexed_tags(event)
        try:
            data = read_head(self._blobs, event)
        except FileNotFoundError:  # it was damaged, and another file has taken its place
            with self._views.snapshot() as snapshot:
                current = snapshot.get_instance(event.id)
            if current is None or current.blob == event.blob:
                raise
            data = read_head(self._blobs, current)
        if isinstance(data, bytes):
            return self._render(data)
        with data:
            return self._render(data)

    def _indexed_tags(self, event: InstanceStored) -> Mapping[str, Any]:
        """Return what the index knows of an instance whose file is not kept; less, once it is deleted."""
        with self._views.snapshot() as snapshot:
            instance = snapshot.get_instance(event.id)
            tags = event.tags if instance is None else main_tags(snapshot, instance)
        shown = {tag_name(tag): text for tag, text in tags.items() if not is_sequence(tag, text)}
        return shown | {tag_name(SOP_CLASS_UID): event.sop_class}

    def _render(self, data: bytes | mmap.mmap) -> Mapping[str, Any]:
        return simplified_tags(data, self._default_encoding())

    def _stable(self, level: Level, ref: Ref) -> list[Delivery]:
        with self._views.snapshot() as snapshot:
            try:
                resource = snapshot.get_resource(level, ref)
            except KeyError:
                return []
            metadata = show_metadata(snapshot, resource, self._naming, "surrogateescape")
        tags = {tag_name(tag): text for tag, text in resource.tags.items() if not is_sequence(tag, text)}
        return [causes.stable(level, format_resource_id(resource.id), tags, metadata)]

    def _job(self, end: JobEnd, job: Ref) -> list[Delivery]:
        _, event = self._event(Seq(job))  # the job itself may be forgotten
        return [causes.job(end, str(UUID(bytes=event.id)))] if isinstance(event, JobSubmitted) else []

    def _event(self, seq: Seq) -> tuple[Record | None, Event | None]:
        with self._views.snapshot() as snapshot:
            return read_event(snapshot.row, seq)
