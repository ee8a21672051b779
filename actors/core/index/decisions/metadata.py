"""Which events metadata cause that clients set and remove."""

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.decisions.revisions import check_seen
from actors.core.index.reading import find_any, surrogate_of_resource
from actors.messages.commands import metadata as commands
from events import metadata as events
from events.errors import InvalidRequest
from events.identifiers import Ref, ResourceId
from store.batch import Batch
from store.projections.metadata import Kept, bytes_of, unpack_metadata
from store.tables import METADATA, metadata_key


def _set(command: commands.SetMetadata, context: Context) -> Steps:
    if command.number not in events.USER_NUMBERS:
        raise InvalidRequest(f"metadata {command.number} is read-only")
    if len(command.value) > commands.MAX_VALUE_BYTES:
        raise InvalidRequest(f"a metadata holds at most {commands.MAX_VALUE_BYTES} bytes, not {len(command.value)}")
    level, ref = find_any(context.batch, ResourceId(command.id))
    old = _find(context.batch, ref, command)
    _check_total(context.batch, ref, len(command.value) - (0 if old is None else len(old.value)))
    context.outcome.reply = revision = 0 if old is None else old.revision + 1
    event = events.MetadataSet(
        level=level,
        resource=ref,
        number=command.number,
        old_revision=None if old is None else old.revision,
        revision=revision,
        id=command.id,
        old_value=None if old is None else old.value,
        value=command.value,
    )
    yield Planned(event, surrogate_of_resource(context.batch, level, ref))


def _check_total(batch: Batch, ref: Ref, added_bytes: int) -> None:
    total_bytes = bytes_of(batch, ref) + added_bytes
    if added_bytes > 0 and total_bytes > commands.MAX_TOTAL_BYTES:
        raise InvalidRequest(
            f"the metadata of a resource hold at most {commands.MAX_TOTAL_BYTES} bytes together, not {total_bytes}: "
            "remove some, or use attachments"
        )


def _remove(command: commands.RemoveMetadata, context: Context) -> Steps:
    level, ref = find_any(context.batch, ResourceId(command.id))
    old = _find(context.batch, ref, command)
    context.outcome.reply = old is not None
    if old is not None:
        event = events.MetadataRemoved(
            level=level,
            resource=ref,
            number=command.number,
            old_revision=old.revision,
            id=command.id,
            old_value=old.value,
        )
        yield Planned(event, surrogate_of_resource(context.batch, level, ref))


def _find(batch: Batch, ref: Ref, command: commands.SetMetadata | commands.RemoveMetadata) -> Kept | None:
    """Return what is there to be changed. Raises RevisionConflict if the client has not seen it."""
    row = batch.get(METADATA, metadata_key(ref, command.number))
    if row is None:
        return None
    held = unpack_metadata(row)
    check_seen(command, held.revision, held.md5)
    return held


DECISIONS: Decisions = {commands.SetMetadata: _set, commands.RemoveMetadata: _remove}
