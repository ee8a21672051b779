"""What a query needs of files: tags that the index does not have, read from the oldest instance of a resource."""

import logging
from contextlib import nullcontext
from functools import partial

from events.errors import DamagedFile, InvalidDicom, StorageFailed, StorageFull
from events.identifiers import format_blob_id
from store.blobs.store import BlobStore
from store.blobs.writer import is_kept
from store.dicom.identifier import pick
from store.dicom.matching import Dataset
from store.instance_heads import read_head
from store.records import Instance
from store.views.current import read_current
from store.views.find_match import Candidate
from store.views.views import Views

logger = logging.getLogger(__name__)


class TagFiles:
    """The files of an archive. Thread-safe."""

    def __init__(self, views: Views, blobs: BlobStore) -> None:
        self._views = views
        self._blobs = blobs

    def complete(self, candidate: Candidate, default_encoding: str) -> Dataset | None:
        """Read what the index does not have; None if the file then says that there is no match, or is gone."""
        if candidate.instance is None:
            return candidate.values
        read = self._read(candidate.instance, candidate.parts.from_file, default_encoding)
        if read is None or not all(matcher.matches(read.get(tag)) for tag, matcher in candidate.parts.file_keys):
            return None
        return candidate.values | read

    def _read(self, instance: Instance, tags: tuple[int, ...], default_encoding: str) -> Dataset | None:
        try:
            data = read_current(self._views, instance, partial(read_head, self._blobs))
            with nullcontext(data) if isinstance(data, bytes) else data:
                return pick(data, tags, default_encoding)
        except FileNotFoundError:
            return None if is_kept(instance.blob) else {}  # deleted since, or never kept
        except (InvalidDicom, ValueError):
            return {}
        except (DamagedFile, StorageFailed, StorageFull) as exc:  # one file is no reason to find nothing
            logger.error("find.file-unreadable blob=%s error=%s", format_blob_id(instance.blob), exc)
            return {}
