"""Which events an instance that comes in causes: its own, and those of what has to be made above it."""

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.decisions.attachments import make_head, replace_head
from actors.core.index.decisions.derivation import derive, labels_of_sources
from actors.core.index.decisions.files import check_lease, heal
from actors.core.index.decisions.recycling import make_room, make_room_for
from actors.core.index.decisions.resources import delete
from actors.core.index.reading import find_visible, read_row, surrogate_of, surrogate_of_resource
from actors.messages.commands.instances import ALWAYS, IF_CHANGED, NoteDuplicate, StoreInstance
from events import resources as events
from events.errors import InvalidDicom
from events.identifiers import Level, Ref, ResourceId
from events.received import Originated, ReceivedInstance, facts
from events.stored_file import PlainFile, StoredFile
from store.batch import Batch
from store.completeness import series_status
from store.projections import rows
from store.projections.rows import read_instance
from store.records import Instance
from store.tables import AGGREGATES, CHILDREN, IDS, INSTANCES, SERIES, U64, key

OVERWRITE_INSTANCES = "OverwriteInstances"


def _store(command: StoreInstance, context: Context) -> Steps:
    batch = context.batch
    existing = _find_for_store(batch, Level.INSTANCE, command.id)
    if existing is not None:
        held = read_instance(existing, batch.get(INSTANCES, key(existing)) or b"")
        if command.blob == held.blob:
            context.outcome.reply = "Success"
            return
        if command.heals == held.blob:
            yield from _heal(command, held, context)
            return
        if not _overwrites(command, held):
            context.outcome.reply = "AlreadyStored"
            return
    _check_leases(command, batch)
    labels = labels_of_sources(command, context)
    if existing is not None:
        yield from delete(
            context,
            Level.INSTANCE,
            command.id,
            reason=OVERWRITE_INSTANCES,
            remote_ip=command.remote_ip,
            username=command.username,
        )
    series, study, patient = _find_above(command, batch)
    yield from make_room(context, patient=patient, size_bytes=_disk_bytes(command))
    instance = context.next_seq()
    created = iter(range(instance + 1, instance + 4))
    series_ref = Ref(next(created)) if series is None else series
    study_ref = Ref(next(created)) if study is None else study
    patient_ref = Ref(next(created)) if patient is None else patient
    surrogate = context.new_surrogate() if patient is None else surrogate_of(batch, patient)
    yield Planned(
        events.InstanceStored(
            series=series_ref, study=study_ref, patient=patient_ref, **facts(ReceivedInstance, command)
        ),
        surrogate,
    )
    yield from _create_above(command, surrogate, (series, study, patient), (study_ref, patient_ref))
    yield from make_head(command, Ref(instance), surrogate)
    if command.derived_from:
        above = (
            (Level.SERIES, series, series_ref),
            (Level.STUDY, study, study_ref),
            (Level.PATIENT, patient, patient_ref),
        )
        new = {Level.INSTANCE: Ref(instance), **{level: ref for level, old, ref in above if old is None}}
        yield from derive(command, labels, new, surrogate)
    if _is_just_complete(batch, series_ref):
        yield Planned(events.SeriesCompleted(series=series_ref), surrogate)
    context.outcome.reply = "Success"
    # In this order the resources of one instance become stable: Orthanc's.
    context.outcome.touched = [
        (Level.SERIES, series_ref, instance),
        (Level.STUDY, study_ref, instance),
        (Level.PATIENT, patient_ref, instance),
    ]


def _heal(command: StoreInstance, held: Instance, context: Context) -> Steps:
    _check_leases(command, context.batch)
    yield from make_room_for(context, Level.INSTANCE, held.ref, _disk_bytes(command), held.disk_bytes)
    surrogate = surrogate_of_resource(context.batch, Level.INSTANCE, held.ref)
    yield Planned(heal(command, held.ref), surrogate)
    yield from replace_head(command, held.ref, surrogate, context.batch)
    context.outcome.reply = "Success"
    context.outcome.condemned = True


def _check_leases(command: StoreInstance, batch: Batch) -> None:
    for file in _files(command):
        check_lease(file.blob, batch)


def _disk_bytes(command: StoreInstance) -> int:
    return sum(file.disk_bytes for file in _files(command))


def _files(command: StoreInstance) -> list[StoredFile]:
    """Return the files that an instance comes with: its own, and that of its beginning."""
    return [command] if command.head is None else [command, PlainFile(**rows.read_file(command.head))]


def _overwrites(command: StoreInstance, held: Instance) -> bool:
    """Tell whether the file takes the place of the one that is there. Without digests whoever sends it has compared the bytes."""
    is_same = bool(held.md5) and command.md5 == held.md5
    return command.overwrite == ALWAYS or (command.overwrite == IF_CHANGED and not is_same)


def _find_above(command: StoreInstance, batch: Batch) -> tuple[Ref | None, Ref | None, Ref | None]:
    """Return series, study and patient of an instance, as far as they exist."""
    series = _find_for_store(batch, Level.SERIES, command.series)
    if series is not None:
        return series, *rows.ancestors_of(Level.SERIES, read_row(batch, Level.SERIES, series))  # type: ignore[return-value]  # two
    study = _find_for_store(batch, Level.STUDY, command.study)
    return None, study, _find_for_store(batch, Level.PATIENT, command.patient)


def _find_for_store(batch: Batch, level: Level, resource_id: ResourceId) -> Ref | None:
    """Return what is there already. Raises InvalidDicom where the identifier names a resource of another level.

    Identifiers hash a chain joined with `|`, so a PatientID of "A|1.2" hashes like study 1.2 of patient A.
    """
    packed = batch.get(IDS, resource_id)
    if packed is None:
        return None
    if packed[0] != level:
        raise InvalidDicom("the identifiers of this file collide with those of another resource")
    return find_visible(batch, level, resource_id)


def _create_above(
    command: StoreInstance,
    surrogate: bytes,
    existing: tuple[Ref | None, Ref | None, Ref | None],
    refs: tuple[Ref, Ref],
) -> Steps:
    series, study, patient = existing
    study_ref, patient_ref = refs
    if series is None:
        created = events.SeriesCreated(
            study=study_ref,
            patient=patient_ref,
            expected_instances=command.expected_instances,
            id=command.series,
            tags=command.tags_above[Level.SERIES],
        )
        yield Planned(created, surrogate)
    if study is None:
        patient_tags = command.tags_above[Level.PATIENT]
        yield Planned(
            events.StudyCreated(
                patient=patient_ref, id=command.study, tags=command.tags_above[Level.STUDY], patient_tags=patient_tags
            ),
            surrogate,
        )
    if patient is None:
        yield Planned(events.PatientCreated(id=command.patient, tags=command.tags_above[Level.PATIENT]), surrogate)


def _is_just_complete(batch: Batch, series: Ref) -> bool:
    packed = batch.get(SERIES, key(series))
    expected = rows.unpack(packed)[rows.SERIES_EXPECTED] if packed is not None else None
    if expected is None or rows.unpack_aggregate(batch.get(AGGREGATES, key(series))).instances != expected:
        return False
    refs = (U64.unpack(link[8:])[0] for link in batch.keys(CHILDREN, key(series)))
    instances = (rows.unpack(batch.get(INSTANCES, key(ref)) or b"") for ref in refs)
    return series_status(expected, (row[rows.INSTANCE_INDEX] for row in instances)) == "Complete"


def _note_duplicate(command: NoteDuplicate, context: Context) -> Steps:
    ref = find_visible(context.batch, Level.INSTANCE, command.id)
    context.outcome.reply = ref is not None
    if ref is not None:
        surrogate = surrogate_of_resource(context.batch, Level.INSTANCE, ref)
        event = events.InstanceReceivedAgain(instance=ref, id=command.id, **facts(Originated, command))
        yield Planned(event, surrogate)


DECISIONS: Decisions = {StoreInstance: _store, NoteDuplicate: _note_duplicate}
