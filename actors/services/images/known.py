"""What is known of files that were read lately, so that they need not be read again, as long as nobody has changed them.

Who asks for another window of an image, or once more for a series, has them described in 15 µs each instead of 130.
"""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final, Generic, TypeVar

from events.identifiers import BlobId
from events.stored_file import StoredFile
from store.blobs.store import BlobStore

MOST_KEPT: Final = 2048

T = TypeVar("T")


class Known(Generic[T]):
    """Values of so many files, those used last. Thread-safe."""

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[Path, BlobId], T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, blobs: BlobStore, file: StoredFile) -> T | None:
        """Return what is known of a file that is as it was found. Raises StorageFailed."""
        key = (blobs.root, file.blob)
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
        return value if value is not None and blobs.is_as_found(file) else None

    def keep(self, blobs: BlobStore, file: StoredFile, value: T) -> None:
        """Keep what was read of a file."""
        with self._lock:
            self._values[blobs.root, file.blob] = value
            if len(self._values) > MOST_KEPT:
                self._values.popitem(last=False)
