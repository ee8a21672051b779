"""Which events a command causes. Pure but for reading the batch: no clock, no file; randomness is handed in.

`decide` returns what to append; the actor appends and projects each event before it asks for more, so that later
events of one command (a series found complete) can be decided on what the earlier ones made visible.
"""

from typing import Any

import msgpack

from actors.core.index.decide_files import FILE_COMMANDS, decide_files, heal
from actors.core.index.decide_jobs import JOB_COMMANDS, decide_job
from actors.core.index.decide_scripts import SCRIPT_COMMANDS, decide_script
from actors.core.index.decide_server import SERVER_COMMANDS, decide_server
from actors.core.index.decide_stability import STABILITY_COMMANDS, decide_stability
from actors.core.index.outcome import Context, Outcome, Planned, Steps
from actors.core.index.reading import find_visible, read_row, surrogate_of, surrogate_of_resource
from actors.messages.commands import (
    Command,
    DeleteResource,
    DropCursor,
    ForgetCondemned,
    NoteDuplicate,
    OpenFolder,
    PurgeRows,
    RetireFolder,
    RetractInstance,
    RevokeFolders,
    SaveCursor,
    SetSetting,
    StoreInstance,
)
from events.errors import FolderRevoked, InvalidDicom, NotFound
from events.identifiers import BlobId, Level, Ref, ResourceId, Seq
from events.resources import (
    InstanceReceivedAgain,
    InstanceStored,
    PatientCreated,
    ResourceDeleted,
    RowsPurged,
    SeriesCompleted,
    SeriesCreated,
    StudyCreated,
)
from store.batch import Batch
from store.blobs.store import folder_number
from store.completeness import series_status
from store.log import read_event
from store.projections import rows
from store.projections.purge import ancestors_of, next_step
from store.tables import (
    AGGREGATES,
    BLOBS,
    CHILDREN,
    CONDEMNED,
    CURSORS,
    IDS,
    INSTANCES,
    LEASES,
    LEVEL_REF,
    META,
    SERIES,
    SETTINGS,
    TOMBSTONES,
    U64,
    key,
)

# Rows of one purge step: 250 instances held the writer for 12 ms (median) on the reference machine; the aim is 20.
PURGE_STEP_INSTANCES = 250
NEXT_FOLDER = b"next-folder"


def decide(command: Command, context: Context, outcome: Outcome) -> Steps:
    """Yield the events of a command; fill in the outcome. Raises SinogramError to refuse the command."""
    match command:
        case StoreInstance():
            yield from _store(command, context, outcome)
        case DeleteResource():
            yield from _delete(command, context, outcome)
        case RetractInstance():
            yield from _retract(command.blob, context, outcome)
        case PurgeRows():
            yield from _purge(command.resource, context, outcome)
        case NoteDuplicate():
            yield from _note_duplicate(command, context, outcome)
        case _ if isinstance(command, FILE_COMMANDS):
            yield from decide_files(command, context, outcome)
        case _ if isinstance(command, STABILITY_COMMANDS):
            yield from decide_stability(command, context, outcome)
        case _ if isinstance(command, SCRIPT_COMMANDS):
            yield from decide_script(command, context, outcome)
        case _ if isinstance(command, SERVER_COMMANDS):
            yield from decide_server(command, context, outcome)
        case _ if isinstance(command, JOB_COMMANDS):
            yield from decide_job(command, context, outcome)
        case _:
            _keep_books(command, context.batch, outcome)


# -- storing ----------------------------------------------------------------------------------------------------------


def _store(command: StoreInstance, context: Context, outcome: Outcome) -> Steps:
    batch = context.batch
    existing = _find_for_store(batch, Level.INSTANCE, command.instance)
    if existing is not None:
        held = rows.unpack(batch.get(INSTANCES, key(existing)) or b"")[rows.INSTANCE_BLOB]
        outcome.reply = "Success" if held in {command.blob, command.heals} else "AlreadyStored"
        if command.heals == held and command.blob != held:
            _check_lease(command, batch)
            yield from heal(command, existing, context)
            outcome.condemned = True
        return
    _check_lease(command, batch)
    series, study, patient = _find_above(command, batch)
    instance = context.next_seq()
    created = iter(range(instance + 1, instance + 4))
    series_ref = Ref(next(created)) if series is None else series
    study_ref = Ref(next(created)) if study is None else study
    patient_ref = Ref(next(created)) if patient is None else patient
    surrogate = context.new_surrogate() if patient is None else surrogate_of(batch, patient)
    yield Planned(
        InstanceStored(
            series=series_ref,
            study=study_ref,
            patient=patient_ref,
            blob=command.blob,
            size_bytes=command.size_bytes,
            transfer_syntax=command.transfer_syntax,
            sop_class=command.sop_class,
            pixel_data_offset=command.pixel_data_offset,
            pixel_data_vr=command.pixel_data_vr,
            index_in_series=command.index_in_series,
            origin=command.origin,
            id=command.instance,
            tags=command.tags[Level.INSTANCE],
            md5=command.md5,
            remote_ip=command.remote_ip,
            remote_aet=command.remote_aet,
            called_aet=command.called_aet,
            username=command.username,
        ),
        surrogate,
    )
    yield from _create_above(command, surrogate, (series, study, patient), (study_ref, patient_ref))
    if _is_just_complete(batch, series_ref):
        yield Planned(SeriesCompleted(series=series_ref), surrogate)
    outcome.reply = "Success"
    # In this order the resources of one instance become stable: Orthanc's.
    outcome.touched = [
        (Level.SERIES, series_ref, instance),
        (Level.STUDY, study_ref, instance),
        (Level.PATIENT, patient_ref, instance),
    ]


def _check_lease(command: StoreInstance, batch: Batch) -> None:
    if not batch.get(LEASES, key(folder_number(command.blob))):
        raise FolderRevoked("the process that received this instance has been replaced; send it again")


def _find_above(command: StoreInstance, batch: Batch) -> tuple[Ref | None, Ref | None, Ref | None]:
    """Return series, study and patient of an instance, as far as they exist."""
    series = _find_for_store(batch, Level.SERIES, command.series)
    if series is not None:
        return series, *ancestors_of(Level.SERIES, read_row(batch, Level.SERIES, series))  # type: ignore[return-value]  # two
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
        created = SeriesCreated(
            study=study_ref,
            patient=patient_ref,
            expected_instances=command.expected_instances,
            id=command.series,
            tags=command.tags[Level.SERIES],
        )
        yield Planned(created, surrogate)
    if study is None:
        patient_tags = command.tags[Level.PATIENT]
        yield Planned(
            StudyCreated(
                patient=patient_ref, id=command.study, tags=command.tags[Level.STUDY], patient_tags=patient_tags
            ),
            surrogate,
        )
    if patient is None:
        yield Planned(PatientCreated(id=command.patient, tags=command.tags[Level.PATIENT]), surrogate)


def _is_just_complete(batch: Batch, series: Ref) -> bool:
    packed = batch.get(SERIES, key(series))
    expected = rows.unpack(packed)[rows.SERIES_EXPECTED] if packed is not None else None
    if expected is None or rows.unpack_aggregate(batch.get(AGGREGATES, key(series))).instances != expected:
        return False
    refs = (U64.unpack(link[8:])[0] for link in batch.keys(CHILDREN, key(series)))
    instances = (rows.unpack(batch.get(INSTANCES, key(ref)) or b"") for ref in refs)
    return series_status(expected, (row[rows.INSTANCE_INDEX] for row in instances)) == "Complete"


def _note_duplicate(command: NoteDuplicate, context: Context, outcome: Outcome) -> Steps:
    ref = find_visible(context.batch, Level.INSTANCE, command.id)
    outcome.reply = ref is not None
    if ref is not None:
        surrogate = surrogate_of_resource(context.batch, Level.INSTANCE, ref)
        event = InstanceReceivedAgain(
            instance=ref,
            origin=command.origin,
            id=command.id,
            remote_ip=command.remote_ip,
            remote_aet=command.remote_aet,
            called_aet=command.called_aet,
            username=command.username,
        )
        yield Planned(event, surrogate)


# -- deleting ---------------------------------------------------------------------------------------------------------


def _delete(command: DeleteResource, context: Context, outcome: Outcome) -> Steps:
    batch = context.batch
    level = Level(command.level)
    requested = find_visible(batch, level, command.id)
    if requested is None:
        raise NotFound("no such resource")
    top_level, top = _highest_emptied(batch, level, requested)
    row = read_row(batch, top_level, top)
    above = ancestors_of(top_level, row)
    if above:
        parent_level = Level(top_level - 1)
        outcome.reply = (int(parent_level), read_row(batch, parent_level, above[0])[rows.ID])
    patient = above[-1] if above else top
    surrogate = surrogate_of(batch, patient)
    event = ResourceDeleted(
        level=top_level,
        resource=top,
        requested_level=level,
        requested=requested,
        id=ResourceId(row[rows.ID]),
        requested_id=command.id,
        remote_ip=command.remote_ip,
        username=command.username,
    )
    yield Planned(event, surrogate)
    outcome.condemned = True
    if top_level != Level.INSTANCE:
        yield from _purge(top, context, outcome)


def _retract(blob: BlobId, context: Context, outcome: Outcome) -> Steps:
    owner = context.batch.get(BLOBS, blob)
    if owner is None:
        return
    ref = Ref(U64.unpack(owner)[0])
    resource = ResourceId(read_row(context.batch, Level.INSTANCE, ref)[rows.ID])
    if find_visible(context.batch, Level.INSTANCE, resource) == ref:  # not a later life, with a good file of its own
        delete = DeleteResource(level=Level.INSTANCE, id=resource, remote_ip="", username="", correlation=b"")
        yield from _delete(delete, context, outcome)


def _highest_emptied(batch: Batch, level: Level, ref: Ref) -> tuple[Level, Ref]:
    """Climb as long as the parent holds nothing else, as Orthanc removes what it leaves empty."""
    while level != Level.PATIENT:
        parent = ancestors_of(level, read_row(batch, level, ref))[0]
        children = batch.keys(CHILDREN, key(parent))
        next(children, None)
        if next(children, None) is not None:
            break
        level, ref = Level(level - 1), parent
    return level, ref


def _purge(root: Ref, context: Context, outcome: Outcome) -> Steps:
    tombstone = context.batch.get(TOMBSTONES, key(root))
    if tombstone is None:
        return
    surrogate = tombstone[LEVEL_REF.size :]
    deleted = _name_purged(context.batch, root, tombstone)
    yield Planned(RowsPurged(resource=root, limit=PURGE_STEP_INSTANCES, deleted=deleted), surrogate)
    outcome.condemned = True
    if context.batch.get(TOMBSTONES, key(root)) is not None:
        outcome.purging.append(root)


def _name_purged(batch: Batch, root: Ref, tombstone: bytes) -> list[list[Any]]:
    """Name what the next step of a purge removes, in the order in which Orthanc tells of it."""
    level, deleted_at = LEVEL_REF.unpack_from(tombstone)
    step = next_step(batch, Level(level), root, PURGE_STEP_INSTANCES)
    packed = ((found.level, batch.get(rows.TABLE_OF_LEVEL[found.level], key(found.ref))) for found in step.rows)
    named: list[list[Any]] = [[int(of), rows.id_of(row)] for of, row in packed if row is not None]
    event = read_event(batch, Seq(deleted_at)) if step.is_last else None
    if not isinstance(event, ResourceDeleted):  # else it was erased from the log
        return named
    named.append([level, event.id])
    below = [each for each in named if each[0] > event.requested_level]
    return below + sorted((each for each in named if each[0] <= event.requested_level), key=lambda each: int(each[0]))


# -- books that are no facts of the archive -----------------------------------------------------------------------------


def _keep_books(command: Command, batch: Batch, outcome: Outcome) -> None:
    match command:
        case SetSetting():
            batch.put(SETTINGS, command.name.encode(), msgpack.packb(command.value))
        case OpenFolder():
            number = int.from_bytes(batch.get(META, NEXT_FOLDER) or b"\1", "big")
            batch.put(META, NEXT_FOLDER, key(number + 1))
            batch.put(LEASES, key(number), command.owner.encode())
            outcome.reply = number
        case RevokeFolders():
            owned = [k for k, owner in batch.items(LEASES, b"") if owner == command.owner.encode()]
            for lease in owned:
                # A revoked folder stays known until it is swept, under an owner that no process has.
                batch.put(LEASES, lease, b"")
            outcome.reply = [U64.unpack(lease)[0] for lease in owned]
        case RetireFolder():
            batch.delete(LEASES, key(command.folder))
        case ForgetCondemned():
            for blob in command.blobs:
                batch.delete(CONDEMNED, blob)
        case SaveCursor():
            batch.put(CURSORS, command.consumer.encode(), key(command.seq))
        case DropCursor():
            batch.delete(CURSORS, command.consumer.encode())
        case _:
            raise TypeError(type(command).__name__)
