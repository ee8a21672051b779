"""Which events of the log each resource was touched by: the history of a resource, through all of its lives.

A row of an instance is written for what comes after it was stored; the event that stored it is added as it leaves, so that
storing costs nothing here. Of a patient, study or series every event has its row. What is deleted with a resource above it has no
row of that on these levels: the reader finds the deletion among the events of what lies above (`store.views.history`).
"""

from collections.abc import Iterator

from events import attachments, derivation, files, labels, metadata, protection, reconstruction, resources
from events.envelope import tags_of
from events.event import Event
from events.identifiers import Level, Ref, ResourceId, Seq
from events.jobs import JobEvent
from events.scripts import ScriptEvent
from events.server import ResourceExported
from events.subjects import SUBJECTS, level_of
from store.batch import Batch
from store.log import Appended, read_event, tag_of
from store.projections import rows
from store.projections.projection import OF_SERVER, Gone, Projection, Rebuild, without
from store.tables import EVENTS, TOUCHES, U64, key, touch_key

_Creation = resources.SeriesCreated | resources.StudyCreated | resources.PatientCreated


def _create(batch: Batch, appended: Appended[_Creation]) -> None:
    batch.put(TOUCHES, touch_key(appended.event.id, appended.seq), b"")


def _touch(batch: Batch, appended: Appended[Event]) -> None:
    level, ref = _subject_of(appended.event)
    row = batch.get(rows.TABLE_OF_LEVEL[level], key(ref))
    if row is not None:
        batch.put(TOUCHES, touch_key(rows.id_of(row), appended.seq), b"")


def _delete(batch: Batch, appended: Appended[resources.ResourceDeleted]) -> None:
    for resource in _deleted_above_instances(appended.event):
        batch.put(TOUCHES, touch_key(resource, appended.seq), b"")


def _export(batch: Batch, appended: Appended[ResourceExported]) -> None:
    batch.put(TOUCHES, touch_key(appended.event.id, appended.seq), b"")


def _subject_of(event: Event) -> tuple[Level, Ref]:
    subject = SUBJECTS[type(event)]
    level = level_of(subject, lambda name: getattr(event, name))
    assert level is not None
    return level, Ref(getattr(event, subject.field))


def _deleted_above_instances(event: resources.ResourceDeleted) -> Iterator[ResourceId]:
    if event.level != Level.INSTANCE:
        yield event.id
    if event.requested_level != Level.INSTANCE and event.requested_id != event.id:
        yield event.requested_id


def _forget(batch: Batch, gone: Gone) -> None:
    if gone.level == Level.INSTANCE:
        for seq in (Seq(gone.ref), gone.deleted_at):
            batch.put(TOUCHES, touch_key(gone.row[rows.ID], seq), b"")


def _add(batch: Batch, _table: bytes, row_key: bytes, row: bytes) -> None:
    """Write the rows of an event about what lies above instances, or an export, from the log alone."""
    if tag_of(row) not in _TAGS:
        return
    seq = Seq(U64.unpack(row_key)[0])
    _, event = read_event(batch.get, seq)
    for resource in () if event is None else _touched(batch, event):
        batch.put(TOUCHES, touch_key(resource, seq), b"")


def _is_missing(batch: Batch) -> bool:
    """The first series has the row of its creation, unless the release did not write it."""
    for row_key, row in batch.items(EVENTS, b""):
        if tag_of(row) == resources.SeriesCreated.TAG:
            seq = Seq(U64.unpack(row_key)[0])
            _, event = read_event(batch.get, seq)
            return isinstance(event, resources.SeriesCreated) and batch.get(TOUCHES, touch_key(event.id, seq)) is None
    return False


def _touched(batch: Batch, event: Event) -> Iterator[ResourceId]:
    match event:
        case resources.ResourceDeleted():
            yield from _deleted_above_instances(event)
        case resources.SeriesCreated() | resources.StudyCreated() | resources.PatientCreated() | ResourceExported():
            yield event.id
        case _:
            level, ref = _subject_of(event)
            _, created = (None, None) if level == Level.INSTANCE else read_event(batch.get, ref)
            if created is not None:
                yield created.id  # type: ignore[attr-defined]  # what creates a resource has its identifier


PROJECTION = Projection(
    tables=(TOUCHES,),
    handles={
        **dict.fromkeys((resources.SeriesCreated, resources.StudyCreated, resources.PatientCreated), _create),
        resources.InstanceReceivedAgain: _touch,
        resources.SeriesCompleted: _touch,
        resources.ResourceStabilized: _touch,
        resources.ResourceUnsettled: _touch,
        resources.ResourceDeleted: _delete,
        reconstruction.InstanceReconstructed: _touch,
        reconstruction.TagsReconstructed: _touch,
        metadata.MetadataSet: _touch,
        metadata.MetadataRemoved: _touch,
        derivation.ResourceDerived: _touch,
        labels.LabelAdded: _touch,
        labels.LabelRemoved: _touch,
        attachments.AttachmentSet: _touch,
        attachments.AttachmentRemoved: _touch,
        attachments.AttachmentRepacked: _touch,
        attachments.AttachmentDamaged: _touch,
        attachments.AttachmentRecovered: _touch,
        files.FileDamaged: _touch,
        files.FileRecovered: _touch,
        files.FileHealed: _touch,
        protection.PatientProtected: _touch,
        protection.PatientUnprotected: _touch,
        ResourceExported: _export,
    },
    ignores=(
        resources.InstanceStored,
        resources.RowsPurged,  # see _forget
        attachments.AttachmentMade,  # it comes with its instance
        JobEvent,
        ScriptEvent,
        *without(OF_SERVER, ResourceExported),
    ),
    forget=_forget,
    # Releases before had the histories of instances alone.
    rebuild=Rebuild(name="history", tables=(), sources=(EVENTS,), add=_add, is_missing=_is_missing),
)
_TAGS = frozenset(tags_of(*(PROJECTION.handles.keys() - {resources.InstanceReceivedAgain})))
