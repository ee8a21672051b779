"""The files of the archive by their owners: first those of instances, in the order in which these came, then attachments.

An owner is named as in `blobs` and `damaged-files`: by the ref of an instance, or by the key of a row of `attachments`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from events.attachments import DICOM
from events.identifiers import Level, Ref, ResourceId, Seq
from store.blobs.writer import is_kept
from store.projections.attachments import Attachment
from store.records import Instance
from store.tables import ATTACHMENTS, BLOBS, EVENTS, U64, attachment_key, is_attachment_key, key
from store.views.attachments import read_attachment
from store.views.feed import read_entry
from store.views.snapshot import Snapshot

OwnedFile = Instance | Attachment


def read_owned(snapshot: Snapshot, owner: bytes) -> OwnedFile | None:
    """Return the file of an owner, None if it is gone, was never kept, or is no file of a resource but the output of a job."""
    if is_attachment_key(owner):
        return read_attachment(snapshot, owner)
    try:
        record = snapshot.get_ref(Level.INSTANCE, Ref(U64.unpack(owner)[0]))
    except KeyError:
        return None
    return record if isinstance(record, Instance) and is_kept(record.blob) else None


def find_owned(snapshot: Snapshot, blob: bytes) -> OwnedFile | None:
    """Return the file of that name, None if nothing has it."""
    owner = snapshot.row(BLOBS, blob)
    return None if owner is None else read_owned(snapshot, owner)


def owner_of(file: OwnedFile) -> bytes:
    return key(file.ref) if isinstance(file, Instance) else attachment_key(file.ref, file.number)


def number_of(file: OwnedFile) -> int:
    """Return which attachment a file is."""
    return DICOM if isinstance(file, Instance) else file.number


def resource_of(snapshot: Snapshot, file: OwnedFile) -> tuple[Level, ResourceId]:
    """Return what a file belongs to. Raises KeyError if that is gone."""
    if isinstance(file, Instance):
        return Level.INSTANCE, file.id
    return file.level, snapshot.id_of(file.level, file.ref)


def list_owners(snapshot: Snapshot, after: bytes = b"") -> Iterator[bytes]:
    """Iterate over those who have files, behind one of them: without what is being purged."""
    if not is_attachment_key(after):
        ref = Ref(U64.unpack(after)[0]) if after else None
        yield from map(key, snapshot.list_refs(Level.INSTANCE, after=ref))
        after = b""
    for row_key in snapshot.keys(ATTACHMENTS, b"", after + b"\0"):
        attachment = read_attachment(snapshot, row_key)
        if attachment is not None and not snapshot.is_hidden(attachment.level, attachment.ref):
            yield row_key


def find_shrunken_series(snapshot: Snapshot, seqs: Iterable[int]) -> set[Ref]:
    """Return the series that lost single instances by some events of the log; of one that was deleted as a whole nothing is said."""
    found = set()
    for seq in seqs:
        deleted = _public(snapshot, seq).get("resource")
        series = None if deleted is None else _public(snapshot, deleted).get("series")
        if series is not None:
            found.add(Ref(series))
    return found


def _public(snapshot: Snapshot, seq: int) -> Mapping[str, Any]:
    row = snapshot.row(EVENTS, key(seq))
    return {} if row is None else read_entry(Seq(seq), row, None).public
