"""Decisions about the server itself: feeds, modalities, exports; also settings and cursors, which are no events."""

from typing import Any

import msgpack

from actors.core.index.context import NOTHING, Context, Decisions, Planned, Steps
from actors.messages.commands import server as commands
from events import server as events
from events.identifiers import ResourceId
from store.batch import Batch
from store.projections.main_tags import read_choices
from store.projections.server import ANONYMOUS_NAMES, count_anonymous_names
from store.tables import CURSORS, MAIN_TAGS, MODALITIES, SETTINGS, TOTALS, key, remote_key
from store.views.remotes import MODALITY_ROWS, REMOVED


def _clear_changes(_: commands.ClearChanges, __: Context) -> Steps:
    yield Planned(events.ChangesCleared())


def _clear_exports(_: commands.ClearExports, __: Context) -> Steps:
    yield Planned(events.ExportsCleared())


def _log_exports(command: commands.LogExports, _: Context) -> Steps:
    for level, resource, patient, study, series, instance in command.exports:
        event = events.ResourceExported(
            level=level,
            modality=command.modality,
            id=ResourceId(resource),
            patient_id=patient,
            study_instance_uid=study,
            series_instance_uid=series,
            sop_instance_uid=instance,
        )
        yield Planned(event)


def _choose_main_tags(command: commands.ChooseMainTags, context: Context) -> Steps:
    before = read_choices(context.batch.items(MAIN_TAGS, b""))[0]
    if {level: tuple(tags) for level, tags in command.tags.items()} != before.tags:
        yield Planned(events.MainTagsChosen(tags=command.tags))


def _draw_anonymous_name(_: commands.DrawAnonymousName, context: Context) -> Steps:
    number = count_anonymous_names(context.batch.get(TOTALS, ANONYMOUS_NAMES)) + 1
    context.outcome.reply = number
    yield Planned(events.AnonymousNameDrawn(number=number))


def _store_modality(command: commands.StoreModality, _: Context) -> Steps:
    yield Planned(events.ModalityStored(**command.values))


def _remove_modality(command: commands.RemoveModality, context: Context) -> Steps:
    context.outcome.reply = context.batch.get(MODALITIES, remote_key(command.name)) is not None
    if context.outcome.reply:
        yield Planned(events.ModalityRemoved(name=command.name))


def _change_modality(command: commands.ChangeModality, context: Context) -> Steps:
    put_setting(context.batch, MODALITY_ROWS.settings + command.values["name"], command.values)
    yield Planned(events.ModalityChanged(**command.values))


def _drop_modality(command: commands.DropModality, context: Context) -> Steps:
    put_setting(context.batch, MODALITY_ROWS.settings + command.name, REMOVED)
    yield Planned(events.ModalityDropped(name=command.name))


def put_setting(batch: Batch, name: str, value: Any) -> None:
    batch.put(SETTINGS, name.encode(), msgpack.packb(value))


def _set_setting(command: commands.SetSetting, context: Context) -> Steps:
    if command.value is None:
        context.batch.delete(SETTINGS, command.name.encode())
    else:
        put_setting(context.batch, command.name, command.value)
    return NOTHING


def _save_cursor(command: commands.SaveCursor, context: Context) -> Steps:
    context.batch.put(CURSORS, command.consumer.encode(), key(command.seq))
    return NOTHING


def _drop_cursor(command: commands.DropCursor, context: Context) -> Steps:
    context.batch.delete(CURSORS, command.consumer.encode())
    return NOTHING


DECISIONS: Decisions = {
    commands.ClearChanges: _clear_changes,
    commands.ClearExports: _clear_exports,
    commands.LogExports: _log_exports,
    commands.ChooseMainTags: _choose_main_tags,
    commands.DrawAnonymousName: _draw_anonymous_name,
    commands.StoreModality: _store_modality,
    commands.RemoveModality: _remove_modality,
    commands.ChangeModality: _change_modality,
    commands.DropModality: _drop_modality,
    commands.SetSetting: _set_setting,
    commands.SaveCursor: _save_cursor,
    commands.DropCursor: _drop_cursor,
}
