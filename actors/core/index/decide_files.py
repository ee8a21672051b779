"""What is decided about the files of instances: damage, recovery, and a file that takes the place of a damaged one."""

from actors.core.index.outcome import Context, Outcome, Planned, Steps
from actors.core.index.reading import find_visible, read_row, surrogate_of_resource
from actors.messages.commands import ReportDamage, ReportRecovery, StoreInstance
from events.files import FileDamaged, FileHealed, FileRecovered
from events.identifiers import BlobId, Level, Ref, ResourceId
from store.batch import Batch
from store.projections import rows
from store.projections.files import unpack_damaged
from store.tables import BLOBS, DAMAGED_FILES, U64, key

FILE_COMMANDS = (ReportDamage, ReportRecovery)


def decide_files(command: ReportDamage | ReportRecovery, context: Context, outcome: Outcome) -> Steps:
    """Yield the event, unless it would say again what the last one has said. Replies whether the file is wanted."""
    ref = _owner(context.batch, command.blob)
    outcome.reply = ref is not None
    if ref is None:
        return
    row = context.batch.get(DAMAGED_FILES, key(ref))
    known = None if row is None else unpack_damaged(row).kind
    event: FileDamaged | FileRecovered
    if isinstance(command, ReportRecovery):
        if known is None:
            return
        event = FileRecovered(instance=ref, blob=command.blob)
    else:
        if known == command.kind:
            return
        event = FileDamaged(instance=ref, blob=command.blob, kind=command.kind, found_bytes=command.found_bytes)
    yield Planned(event, surrogate_of_resource(context.batch, Level.INSTANCE, ref))


def heal(command: StoreInstance, ref: Ref, context: Context) -> Steps:
    """Yield the event by which an instance has the file that came now."""
    event = FileHealed(
        instance=ref,
        damaged=BlobId(command.heals),
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
    )
    yield Planned(event, surrogate_of_resource(context.batch, Level.INSTANCE, ref))


def _owner(batch: Batch, blob: BlobId) -> Ref | None:
    """Return the instance that a file belongs to, if it can be seen."""
    owner = batch.get(BLOBS, blob)
    if owner is None:
        return None
    ref = Ref(U64.unpack(owner)[0])
    resource = ResourceId(read_row(batch, Level.INSTANCE, ref)[rows.ID])
    return ref if find_visible(batch, Level.INSTANCE, resource) == ref else None
