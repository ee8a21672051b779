"""What the archive has of an instance that comes again: whether it is there, durably, and whether its file is whole."""

import hashlib
from dataclasses import dataclass

from events.attachments import DICOM_UNTIL_PIXELS
from events.errors import DamagedFile
from events.identifiers import BlobId, ResourceId
from events.stored_file import StoredFile
from store.blobs.store import BlobStore
from store.blobs.writer import folder_number, is_kept
from store.dicom.elements import Buffer
from store.records import Instance
from store.views.attachments import find_attachment
from store.views.views import Views

NO_FILE = BlobId(b"")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an instance."""

    is_there: bool  # durably, with a file that is whole
    damaged: BlobId = NO_FILE  # its file, which another one is to replace


class KnownInstances:
    """Looks at the archive. Thread-safe."""

    def __init__(self, views: Views, blobs: BlobStore) -> None:
        self._views = views
        self._blobs = blobs

    def look(self, instance: ResourceId, received: bytes | memoryview, *, syncs: bool) -> Known:
        """Return what there is of an instance; `received` is what comes now, if it is in memory.

        As a rule the same bytes are sent again, which are compared with the file. With `syncs` a file that is not durable does not count.
        """
        with self._views.snapshot() as snapshot:
            known = snapshot.get_instance(instance)
            may_be_on_its_way = known is not None and snapshot.is_leased(folder_number(known.blob))
            head = None if known is None else find_attachment(snapshot, known, DICOM_UNTIL_PIXELS)
        if known is None:
            return Known(is_there=False)
        try:
            self._check(known, head, received)
        except FileNotFoundError:  # the instance was deleted, or healed by another upload, in this moment
            return Known(is_there=False)
        except DamagedFile:
            return Known(is_there=False, damaged=known.blob)
        return Known(is_there=not (may_be_on_its_way and syncs) or self._becomes_durable(known))

    def _check(self, known: Instance, head: StoredFile | None, received: bytes | memoryview) -> None:
        """Raise DamagedFile unless the file of an instance is undamaged, and that of its beginning."""
        if not is_kept(known.blob):
            return
        self._blobs.check_instance(known, received)
        if head is not None:
            self._blobs.check_instance(head)

    def _becomes_durable(self, known: Instance) -> bool:
        """The other upload may still wait for the disk, so it is no reason to acknowledge ours."""
        try:
            self._blobs.sync(known.blob)
        except OSError:
            return False
        with self._views.snapshot() as snapshot:
            still = snapshot.get_instance(known.id)
        return still is not None and still.blob == known.blob

    def is_same(self, instance: ResourceId, data: Buffer) -> bool:
        """Tell whether the archive has an instance with these very bytes, as far as its digest tells."""
        with self._views.snapshot() as snapshot:
            known = snapshot.get_instance(instance)
        if known is None or known.size_bytes != len(data):
            return False
        if known.md5:
            return hashlib.md5(data, usedforsecurity=False).digest() == known.md5
        try:
            return memoryview(self._blobs.read_instance(known)) == memoryview(data)
        except (FileNotFoundError, DamagedFile):
            return False
