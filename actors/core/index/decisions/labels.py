"""Which events the commands about labels cause. What a command asks for and finds done causes none."""

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.reading import find_visible, surrogate_of_resource
from actors.messages.commands import labels as commands
from events import labels as events
from events.errors import InvalidRequest, NotFound
from events.identifiers import Level
from store.tables import LABELS, label_key


def _add(command: commands.AddLabel, context: Context) -> Steps:
    return _change(command, context, events.LabelAdded)


def _remove(command: commands.RemoveLabel, context: Context) -> Steps:
    return _change(command, context, events.LabelRemoved)


def _change(
    command: commands.AddLabel | commands.RemoveLabel,
    context: Context,
    event_type: type[events.LabelAdded | events.LabelRemoved],
) -> Steps:
    if not events.is_label(command.label):
        raise InvalidRequest("a label has 1 to 64 letters or digits of ASCII, `_` or `-`")
    level = Level(command.level)
    resource = find_visible(context.batch, level, command.id)
    if resource is None:
        raise NotFound("no such resource")
    has_label = context.batch.get(LABELS, label_key(resource, command.label)) is not None
    if has_label is (event_type is events.LabelRemoved):
        event = event_type(
            level=level,
            resource=resource,
            label=command.label,
            remote_ip=command.remote_ip,
            username=command.username,
        )
        yield Planned(event, surrogate_of_resource(context.batch, level, resource))


DECISIONS: Decisions = {
    commands.AddLabel: _add,
    commands.RemoveLabel: _remove,
}
