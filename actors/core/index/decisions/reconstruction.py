"""Which events the files of instances cause that were read once more: those of resources of which something is new."""

from collections.abc import Mapping
from typing import Any

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.reading import find_visible, read_row, surrogate_of
from actors.messages.commands.reconstruction import Reconstruct
from events import reconstruction as events
from events.identifiers import Level, Ref, ResourceId
from store.batch import Batch
from store.projections import rows
from store.projections.main_tags import read_choices, told_at
from store.projections.rows import ancestors_of
from store.tables import MAIN_TAGS

Tags = Mapping[int, str]


def _reconstruct(command: Reconstruct, context: Context) -> Steps:
    context.outcome.reply = 0
    chosen_at = read_choices(context.batch.items(MAIN_TAGS, b""))[0].seq
    for file in command.files:
        for planned in _retell(file, context.batch, chosen_at):
            context.outcome.reply += 1
            yield planned


def _retell(file: list[Any], batch: Batch, chosen_at: int) -> Steps:
    identifier, blob, tags, patient_tags, *facts = file
    ref = find_visible(batch, Level.INSTANCE, ResourceId(identifier))
    row = None if ref is None else read_row(batch, Level.INSTANCE, ref)
    if ref is None or row is None or row[rows.INSTANCE_BLOB] != blob:
        return
    above = ancestors_of(Level.INSTANCE, row)
    surrogate = surrogate_of(batch, above[-1])
    if Level.INSTANCE in tags:
        new = [*facts, tags[Level.INSTANCE]]
        is_new = new != [*row[rows.INSTANCE_FACTS], row[rows.INSTANCE_TAGS]]
        if is_new or told_at(batch.get, ref) < chosen_at:
            yield Planned(_instance_event(ref, ResourceId(identifier), new), surrogate)
    for level, resource in zip((Level.SERIES, Level.STUDY, Level.PATIENT), above, strict=True):
        if level in tags:
            event = _event_above(batch, level, resource, ref, tags[level], patient_tags, chosen_at)
            if event is not None:
                yield Planned(event, surrogate)


def _instance_event(ref: Ref, identifier: ResourceId, values: list[Any]) -> events.InstanceReconstructed:
    syntax, sop_class, offset, vr, index, tags = values
    return events.InstanceReconstructed(
        instance=ref,
        transfer_syntax=syntax,
        sop_class=sop_class,
        pixel_data_offset=offset,
        pixel_data_vr=vr,
        index_in_series=index,
        id=identifier,
        tags=tags,
    )


def _event_above(
    batch: Batch, level: Level, resource: Ref, instance: Ref, tags: Tags, patient_tags: Tags, chosen_at: int
) -> events.TagsReconstructed | None:
    """Return the event of a resource, None if it says already what the file says, under the tags of today."""
    row = read_row(batch, level, resource)
    of_study = patient_tags if level == Level.STUDY else {}
    before = row[rows.STUDY_PATIENT_TAGS] if level == Level.STUDY else {}
    is_same = (row[rows.TAGS_OF_LEVEL[level]], before) == (tags, of_study)
    if is_same and told_at(batch.get, resource) >= chosen_at:
        return None
    return events.TagsReconstructed(
        level=level, resource=resource, instance=instance, id=ResourceId(row[rows.ID]), tags=tags, patient_tags=of_study
    )


DECISIONS: Decisions = {Reconstruct: _reconstruct}
