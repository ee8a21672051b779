"""What is decided about the server itself: feeds, modalities, exports; and settings and cursors, which are no events."""

import msgpack

from actors.core.index.context import NOTHING, Context, Decisions, Planned, Steps
from actors.messages.commands.server import (
    ClearChanges,
    ClearExports,
    DropCursor,
    LogExports,
    RemoveModality,
    SaveCursor,
    SetSetting,
    StoreModality,
)
from events.identifiers import ResourceId
from events.server import ChangesCleared, ExportsCleared, ModalityRemoved, ModalityStored, ResourceExported
from store.tables import CURSORS, MODALITIES, SETTINGS, key, modality_key


def _clear_changes(_: ClearChanges, __: Context) -> Steps:
    yield Planned(ChangesCleared())


def _clear_exports(_: ClearExports, __: Context) -> Steps:
    yield Planned(ExportsCleared())


def _log_exports(command: LogExports, _: Context) -> Steps:
    for level, resource, patient, study, series, instance in command.exports:
        event = ResourceExported(
            level=level,
            modality=command.modality,
            id=ResourceId(resource),
            patient_id=patient,
            study_instance_uid=study,
            series_instance_uid=series,
            sop_instance_uid=instance,
        )
        yield Planned(event)


def _store_modality(command: StoreModality, _: Context) -> Steps:
    yield Planned(ModalityStored(**command.values))


def _remove_modality(command: RemoveModality, context: Context) -> Steps:
    context.outcome.reply = context.batch.get(MODALITIES, modality_key(command.name)) is not None
    if context.outcome.reply:
        yield Planned(ModalityRemoved(name=command.name))


def _set_setting(command: SetSetting, context: Context) -> Steps:
    context.batch.put(SETTINGS, command.name.encode(), msgpack.packb(command.value))
    return NOTHING


def _save_cursor(command: SaveCursor, context: Context) -> Steps:
    context.batch.put(CURSORS, command.consumer.encode(), key(command.seq))
    return NOTHING


def _drop_cursor(command: DropCursor, context: Context) -> Steps:
    context.batch.delete(CURSORS, command.consumer.encode())
    return NOTHING


DECISIONS: Decisions = {
    ClearChanges: _clear_changes,
    ClearExports: _clear_exports,
    LogExports: _log_exports,
    StoreModality: _store_modality,
    RemoveModality: _remove_modality,
    SetSetting: _set_setting,
    SaveCursor: _save_cursor,
    DropCursor: _drop_cursor,
}
