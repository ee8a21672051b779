"""The attachments of a resource: those that clients have set, and the DICOM file of an instance as its number 1."""

from collections.abc import Mapping

from events.attachments import BUILT_IN, DICOM, UNKNOWN_MEDIA_TYPE, ContentType
from events.identifiers import Ref
from events.stored_file import StoredFile
from store.projections.attachments import Attachment, Sizes, unpack_attachment, unpack_sizes
from store.records import Instance, Resource
from store.tables import ATTACHED, ATTACHMENTS, attachment_key, key, read_attachment_key
from store.views.snapshot import Snapshot


class AttachmentNaming:
    """Which number each name has, which name is shown for a number, and of which media type it is."""

    def __init__(self, user: Mapping[str, ContentType]) -> None:
        """`user`: the option UserContentType."""
        self._types = {**BUILT_IN, **user}
        self._names = {content_type.number: name for name, content_type in self._types.items()}

    def find(self, name: str) -> int | None:
        """Return the number of a name, None where nothing has that name."""
        found = self._types.get(name)
        return None if found is None else found.number

    def name_of(self, number: int) -> str:
        """Return the name of a number, or the number itself where it has none."""
        return self._names.get(number, str(number))

    def media_type(self, number: int) -> str:
        name = self._names.get(number)
        return UNKNOWN_MEDIA_TYPE if name is None else self._types[name].media_type

    def is_removable(self, number: int) -> bool:
        """Tell whether clients may remove what has this number."""
        name = self._names.get(number)
        return name is not None and self._types[name].is_removable


def list_attachments(snapshot: Snapshot, record: Resource | Instance) -> dict[int, StoredFile]:
    """Return the files of all attachments of a resource by their numbers, in that order."""
    found: dict[int, StoredFile] = {DICOM: record} if isinstance(record, Instance) else {}
    for row_key in snapshot.keys(ATTACHMENTS, key(record.ref)):
        number = read_attachment_key(row_key)[1]
        attachment = find_attachment(snapshot, record, number)
        if attachment is not None:
            found[number] = attachment
    return found


def find_attachment(snapshot: Snapshot, record: Resource | Instance, number: int) -> StoredFile | None:
    """Return the file of an attachment, None if there is none of that number."""
    if number == DICOM and isinstance(record, Instance):
        return record
    return read_attachment(snapshot, attachment_key(record.ref, number)) if number >= 0 else None


def read_attachment(snapshot: Snapshot, row_key: bytes) -> Attachment | None:
    """Return an attachment by the key of its row, None if it is gone."""
    row = snapshot.row(ATTACHMENTS, row_key)
    return None if row is None else unpack_attachment(row_key, row)


def revision_of(file: StoredFile) -> int:
    """Return the revision of an attachment; a DICOM file never has another."""
    return file.revision if isinstance(file, Attachment) else 0


def attached_sizes(snapshot: Snapshot, ref: Ref) -> Sizes:
    """Return the bytes of all attachments of a resource and of those below it; DICOM files do not count."""
    return unpack_sizes(snapshot.row(ATTACHED, key(ref)))
