"""The bytes of a member: the file of an instance as it is stored, or made into another transfer syntax.

A small content is one value, a large one is opened, and read piece by piece when its turn has come.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import RawIOBase
from typing import Final

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.targets import Target
from actors.services.transcoding.transcode import transcode
from events.errors import InvalidDicom
from store.blobs.damage import DIGEST_BYTES, Damage, Kind
from store.blobs.store import MAPPED_BYTES, BlobStore
from store.dicom.elements import Buffer
from store.disk_errors import DiskErrors
from store.instance_heads import read_head
from store.records import Instance
from store.views.current import read_current
from store.views.views import Views

PIECE_BYTES: Final = 1 << 20
_AREA: Final = DiskErrors("the storage area")


@dataclass(frozen=True, slots=True)
class Content:
    """What a member holds: parts in memory, or a file that has been opened."""

    sop_instance: str  # "" as the instance's
    transfer_syntax: str
    size_bytes: int
    parts: tuple[Buffer, ...] = ()
    opened: RawIOBase | None = None
    settle: Callable[[bytes], None] | None = None  # wants the MD5 of all that was read

    def pieces(self) -> Iterator[Buffer]:
        """Iterate over the bytes, at most `PIECE_BYTES` at once. Raises DamagedFile, StorageFailed."""
        if self.opened is None:
            for part in self.parts:
                view = memoryview(part)
                yield from (view[start : start + PIECE_BYTES] for start in range(0, len(view), PIECE_BYTES))
            return
        digest = hashlib.md5(usedforsecurity=False)
        with self.opened, _AREA:
            while piece := self.opened.read(PIECE_BYTES):
                if self.settle is not None:
                    digest.update(piece)
                yield piece
        if self.settle is not None:
            self.settle(digest.digest())

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()


class Reader:
    """Reads instances for one archive. Thread-safe."""

    def __init__(self, views: Views, blobs: BlobStore, codecs: CodecPool, target: Target | None) -> None:
        self._views, self._blobs, self._codecs, self._target = views, blobs, codecs, target

    def read(self, instance: Instance, check: Callable[[], None]) -> Content:
        """Return what an instance's member holds; as it is stored, where it cannot be transcoded (so does Orthanc).

        Raises DamagedFile, StorageFailed, StorageFull, Busy; FileNotFoundError, if the instance has been deleted; errors of `check`, which is
        called while codecs work.
        """
        return read_current(self._views, instance, lambda current: self._read(current, check))

    def head(self, instance: Instance, content: Content) -> Buffer:
        """Return a file with the tags of what `read` has returned. Raises as `BlobStore.read_instance`."""
        if len(content.parts) == 1:
            return content.parts[0]
        return read_current(self._views, instance, lambda current: read_head(self._blobs, current))

    def is_large_in_memory(self, instance: Instance) -> bool:
        """Tell whether what an instance becomes may be much more than a piece."""
        target = self._target
        is_transcoded = target is not None and target.transfer_syntax != instance.transfer_syntax
        return is_transcoded and instance.size_bytes > PIECE_BYTES

    def _read(self, instance: Instance, check: Callable[[], None]) -> Content:
        target = self._target
        if target is not None and target.transfer_syntax != instance.transfer_syntax:
            return self._transcoded(instance, target, check)
        told = "", instance.transfer_syntax, instance.size_bytes
        if instance.size_bytes <= MAPPED_BYTES:
            return Content(*told, (self._blobs.read_small(instance),))
        # A file that is larger than that is not read twice: it is compared with its digest while it is read for the archive.
        is_to_check = not instance.compression and instance.disk_bytes > DIGEST_BYTES and instance.md5
        settle = partial(self._compare, instance) if is_to_check else None
        return Content(*told, opened=self._blobs.open_instance(instance), settle=settle)

    def _transcoded(self, instance: Instance, target: Target, check: Callable[[], None]) -> Content:
        data = self._blobs.read_instance(instance)
        reopener = self._blobs.reopener(instance, data)
        try:
            made = transcode(memoryview(data), target, self._codecs, reopener, check)
        except InvalidDicom:  # of what cannot be transcoded, too
            return Content("", instance.transfer_syntax, len(data), (data,))
        parts = made.head(), made.dataset
        return Content(made.sop_instance, made.transfer_syntax, sum(map(len, parts)), parts)

    def _compare(self, instance: Instance, digest: bytes) -> None:
        """Raises DamagedFile."""
        if digest != instance.md5:
            raise self._blobs.tell(Damage(instance.blob, Kind.ALTERED))
