"""A folder of worklist entries: DICOM files whose names end with `.wl`, as those of DCMTK's `wlmscpfs` and of Orthanc's plugins.

Others write there while this server reads. So the folder is listed for each query, and a file is read again if it is not the one of
before. What is no DICOM file is passed over with a line in the log, as in Orthanc: somebody may be about to write it.
"""

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from events.errors import InvalidDicom, StorageFailed
from store.dicom.charsets import charset_of
from store.dicom.identifier import decode_dataset
from store.dicom.matching import Dataset
from store.dicom.part10 import open_part10
from store.dicom.tags import SPECIFIC_CHARACTER_SET

log = logging.getLogger(__name__)

SUFFIX: Final = ".wl"
MOST_BYTES: Final = 1 << 20  # of a file: real ones have a few kB


@dataclass(frozen=True, slots=True)
class Entry:
    """A worklist entry."""

    values: Dataset
    encoding: str  # in which its text can be written


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was when it was read; `entry` is None where it is no entry."""

    identity: tuple[int, ...]
    encoding: str  # that was taken for granted
    entry: Entry | None


class WorklistFolder:
    """Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()

    def read(self, default_encoding: str) -> list[Entry]:
        """Return all entries in the order of the files' names. Raises StorageFailed if the folder cannot be read."""
        try:
            with os.scandir(self._path) as found:
                names = sorted(each.name for each in found if each.name.endswith(SUFFIX))
        except OSError as exc:
            raise StorageFailed(f"the folder of worklists cannot be read: {exc.strerror}") from exc
        with self._lock:
            before, self._files = self._files, {}
            for name in names:
                file = self._read(name, before.get(name), default_encoding)
                if file is not None:
                    self._files[name] = file
            return [file.entry for file in self._files.values() if file.entry is not None]

    def _read(self, name: str, before: _File | None, default_encoding: str) -> _File | None:
        """Return a file, None if it is gone or cannot be read."""
        path = self._path / name
        try:
            status = path.stat()
            identity = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            if before is not None and before.identity == identity and before.encoding == default_encoding:
                return before
            if not path.is_file() or status.st_size > MOST_BYTES:
                log.warning("worklists.passed-over file=%s: no file, or larger than %d bytes", name, MOST_BYTES)
                return _File(identity, default_encoding, None)
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            log.warning("worklists.not-read file=%s error=%s", name, exc.strerror)
            return None
        return _File(identity, default_encoding, _parse(name, data, default_encoding))


def _parse(name: str, data: bytes, default_encoding: str) -> Entry | None:
    try:
        file = open_part10(data)
        values = decode_dataset(data[file.start :], file.transfer_syntax, default_encoding)[0]
    except InvalidDicom as exc:
        log.warning("worklists.passed-over file=%s error=%s", name, exc)
        return None
    declared = values.pop(SPECIFIC_CHARACTER_SET, None)
    return Entry(values, charset_of(declared if isinstance(declared, str) else "", default_encoding).written)
