"""Which events tell what a new instance was made from, and the labels that it gets from there."""

from collections.abc import Mapping

from actors.core.index.context import Context, Planned, Steps
from actors.core.index.reading import find_visible
from actors.messages.commands.instances import StoreInstance
from events.derivation import ResourceDerived
from events.identifiers import Level, Ref, ResourceId
from events.labels import LabelAdded
from store.tables import LABELS, U64, key


def labels_of_sources(command: StoreInstance, context: Context) -> dict[int, list[str]]:
    """Return the labels that what is new is to have, by level; to be asked before the instance takes the place of its source."""
    if not command.keeps_labels:
        return {}
    return {
        level: _labels_of(context, Level(level), ResourceId(source))
        for level, source in (command.derived_from or {}).items()
    }


def derive(
    command: StoreInstance,
    labels: Mapping[int, list[str]],
    new: Mapping[Level, Ref],
    surrogate: bytes,
) -> Steps:
    """Decide for the resources that this instance has made."""
    sources = command.derived_from or {}
    identifiers = {
        Level.INSTANCE: command.id,
        Level.SERIES: command.series,
        Level.STUDY: command.study,
        Level.PATIENT: command.patient,
    }
    for level, ref in new.items():
        source = sources.get(level)
        # Of what was changed in its place, Orthanc tells of instances alone.
        is_other = level == Level.INSTANCE or source != identifiers[level]
        if command.derivation and source is not None and is_other:
            event = ResourceDerived(
                level=level,
                resource=ref,
                is_anonymization=command.derivation == "AnonymizedFrom",
                id=identifiers[level],
                source=ResourceId(source),
            )
            yield Planned(event, surrogate)
        for label in labels.get(level, []):
            added = LabelAdded(
                level=level, resource=ref, label=label, remote_ip=command.remote_ip, username=command.username
            )
            yield Planned(added, surrogate)


def _labels_of(context: Context, level: Level, source: ResourceId) -> list[str]:
    ref = find_visible(context.batch, level, source)
    return [] if ref is None else [row[U64.size :].decode() for row in context.batch.keys(LABELS, key(ref))]
