"""An attachment on its way in: the path of an instance's file, without what makes that DICOM.

Bytes become a durable blob (`incoming_blob`), then a command to the index refers to it. What differs: nothing is parsed, no filter is asked,
and the blob is durable before its event, however small it is. The event takes the place of the attachment that was there, whose file
then goes, so it could not be taken back after a failed sync or a power cut.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from actors.messages.commands.attachments import RepackAttachment, SetAttachment
from actors.messages.index_client import IndexClient
from actors.services.ingest.incoming_blob import DurableBlobs, IncomingBlob
from actors.services.ingest.settings import IngestSettings
from events.errors import ReadOnlyArchive
from events.received import facts
from events.stored_file import PlainFile, StoredFile


class IncomingAttachment:
    """Not thread-safe. Leave its `with` block to discard it unless it was kept."""

    def __init__(self, index: IndexClient, place: DurableBlobs, settings: IngestSettings) -> None:
        """Raises ReadOnlyArchive."""
        if settings.read_only:
            raise ReadOnlyArchive
        self._index = index
        self._blob = IncomingBlob(place, sync=settings.sync, digest=settings.hash, compress=settings.compress)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes; a memoryview is copied if it must be kept. Raises StorageFull."""
        self._blob.write(data)

    def keep(self, command: Callable[..., SetAttachment]) -> int:
        """Make it an attachment, durably, instead of any that is there; returns its revision.

        `command` is given what is known of the file, and says whose attachment it is. Raises NotFound, RevisionConflict, StorageFull, StorageFailed, Busy; nothing has changed then, except that after Busy it may have.
        """
        revision = 0

        def refer(file: PlainFile) -> bool:
            nonlocal revision
            revision = self._index.set_attachment(command(**facts(StoredFile, file)))
            return True

        self._blob.keep(refer, lambda _blob: False, beside=False)
        return revision

    def replace(self, old: StoredFile, command: Callable[..., RepackAttachment]) -> bool:
        """Let it take the place of a file with the same content, durably; returns whether that was still there. Raises as `keep`."""

        def refer(file: PlainFile) -> bool:
            known = facts(StoredFile, file) | {"md5": old.md5, "replaced": old.blob}
            return self._index.repack_attachment(command(**known))

        return self._blob.keep(refer, lambda _blob: False, beside=False)

    def discard(self) -> None:
        """Forget it; its file goes, unless the index may have taken it."""
        self._blob.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.discard()
