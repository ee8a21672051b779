"""Answers of queries to remote modalities: a file each, for `/queries`, until the next start of the server.

A file holds records of msgpack, first the query, then an answer each, then where each record begins (u64), then how
many answers there are and where that table stands. So an answer is found by its number without reading the others, and
100,000 of them are never in memory together. Answers are kept as they came and decoded when somebody looks at them,
which takes as long as receiving them does. A file is written under a name that no reader looks for, and renamed when it
is whole; all gateways share the folder. Of more files than `QueryRetrieveSize` the one that was used longest ago goes, and so
it does if they take more room than `MaximumQueryFolderSizeMB`.
"""

import contextlib
import fcntl
import os
import uuid
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Any, Final, Self

import msgpack

from actors.services.remote.answer_limits import AnswerLimits
from actors.services.remote.asking import decode
from actors.services.remote.find_scu import Match
from actors.services.remote.modality import Modality, from_plain, to_plain
from actors.services.remote.query_folder import UNFINISHED, make_room
from events.errors import NotFound
from events.identifiers import Level
from store.dicom.matching import Dataset
from store.disk_errors import DiskErrors
from store.run_clock import uptime_us

FOLDER = "queries"  # below the index folder
_ROOM: Final = DiskErrors("the disk of the answers to queries")
CHECK_BYTES: Final = 1 << 20  # between two looks at how large the folder is; of 100 files one takes 0.3 ms
NO_OTHER_LIMITS: Final = AnswerLimits()
SLACK: Final = 8  # of eight queries one more may be kept for a while than QueryRetrieveSize says
_FOOTER = Struct("<QQ")  # number of answers, where the table of offsets stands
_OFFSET = Struct("<Q")
_SPAN = Struct("<QQ")  # of one record and the next; of the last and the number of answers


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQuery:
    """What was asked, and of whom: the modality as it was then."""

    modality: Modality
    level: Level
    keys: Dataset  # as the client gave them
    local_aet: str
    timeout_s: int  # 0: none
    default_encoding: str  # of answers that declare none


def clear_queries(index_directory: Path) -> None:
    """Forget all queries; at the server's start, before anybody writes."""
    with contextlib.suppress(FileNotFoundError):
        for path in (index_directory / FOLDER).iterdir():
            path.unlink()


class QueryStore:
    """Thread-safe; one per process, all on one folder."""

    def __init__(self, index_directory: Path, limit: int, limits: AnswerLimits = NO_OTHER_LIMITS) -> None:
        """`limit` is the option QueryRetrieveSize."""
        self.limits = limits
        self._folder = index_directory / FOLDER
        self._limit = limit
        self._unchecked_bytes = 0  # written since the folder was measured

    def create(self, query: StoredQuery) -> "QueryWriter":
        """Begin a file; it is lost unless its writer is told to `keep` it. Raises StorageFull, StorageFailed."""
        with _ROOM:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            return QueryWriter(self._folder, query, self._on_written)

    def _on_written(self, size_bytes: int) -> None:
        """Look after the folder, now and then. Raises StorageFull."""
        self._unchecked_bytes += size_bytes
        if self.limits.folder_bytes and self._unchecked_bytes >= min(CHECK_BYTES, self.limits.folder_bytes):
            self._unchecked_bytes = 0
            make_room(self._folder, self.limits.folder_bytes)

    def trim(self) -> None:
        """Remove the files beyond the limits, several at once: each removal has to ask every file when it was last used."""
        files = self._files()
        if len(files) <= self._limit + self._limit // SLACK:
            return
        used: list[tuple[int, str]] = []
        for entry in files:
            with contextlib.suppress(FileNotFoundError):
                used.append((entry.stat().st_mtime_ns, entry.path))
        for _, path in sorted(used)[: max(0, len(used) - self._limit)]:
            Path(path).unlink(missing_ok=True)

    def names(self) -> list[str]:
        return sorted(entry.name for entry in self._files())

    def open(self, name: str) -> "QueryReader":
        """Open a query's file, which counts as use. Raises NotFound."""
        if not _is_name(name):
            raise NotFound
        path = self._folder / name
        try:
            reader = QueryReader(path.open("rb", buffering=0))
        except FileNotFoundError as exc:
            raise NotFound from exc
        with contextlib.suppress(FileNotFoundError):
            _mark_used(path)
        return reader

    def remove(self, name: str) -> None:
        """Forget a query; no error if there is none."""
        if _is_name(name):
            (self._folder / name).unlink(missing_ok=True)

    def _files(self) -> list["os.DirEntry[str]"]:
        try:
            with os.scandir(self._folder) as entries:  # of 100 files 0.1 ms; with pathlib it takes 0.6
                return [entry for entry in entries if not entry.name.endswith(UNFINISHED)]
        except FileNotFoundError:
            return []


def _mark_used(path: Path) -> None:
    """Date a file by the time since boot: if somebody set the wall clock back, queries in use would seem the oldest."""
    now_ns = uptime_us() * 1000
    os.utime(path, ns=(now_ns, now_ns))


def _is_name(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


class QueryWriter:
    """A file that is being written; a context manager."""

    def __init__(self, folder: Path, query: StoredQuery, on_written: Callable[[int], None]) -> None:
        """`on_written` is told how many bytes have been written."""
        self._on_written = on_written
        self._is_handed_on = False
        self.name = str(uuid.uuid4())
        self.level = query.level
        self._path = folder / (self.name + UNFINISHED)
        self._final = folder / self.name
        self._offsets = array("Q")
        self._size = 0
        fd = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(fd, "w+b")
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as long as somebody writes or reads it, see `query_folder`
        self._put(
            {
                "modality": to_plain(query.modality),
                "level": query.level,
                "keys": query.keys,
                "local_aet": query.local_aet,
                "timeout_s": query.timeout_s,
                "default_encoding": query.default_encoding,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # of what is still to be written: it is no longer wanted
            self._file.close()
        if not self._is_handed_on:
            self._path.unlink(missing_ok=True)

    def write(self, answer: Match) -> None:
        """Raises StorageFull, StorageFailed."""
        before = self._size
        self._put([answer.dataset, answer.transfer_syntax])
        self._on_written(self._size - before + _OFFSET.size)

    def keep(self) -> str:
        """Make the file complete and known; returns the query's name."""
        self._finish()
        _mark_used(self._path)
        with _ROOM:
            self._path.rename(self._final)
        return self.name

    def read(self) -> "QueryReader":
        """Make the file complete and return its only reader; the file is removed when it has been read."""
        self._finish()
        self._is_handed_on = True
        return QueryReader(os.fdopen(os.dup(self._file.fileno()), "rb", buffering=0), self._path)

    def _put(self, record: object) -> None:
        packed = msgpack.packb(record)
        self._offsets.append(self._size)
        self._size += len(packed)
        with _ROOM:
            self._file.write(packed)

    def _finish(self) -> None:
        with _ROOM:
            self._file.write(b"".join(map(_OFFSET.pack, self._offsets)))
            self._file.write(_FOOTER.pack(len(self._offsets) - 1, self._size))
            self._file.flush()


class QueryReader:
    """A query and its answers; a context manager. Reads at offsets, so that the file's position does not matter."""

    def __init__(self, file: RawIOBase, goes_with: Path | None = None) -> None:
        """`goes_with` is removed when the reader is closed."""
        self._file = file
        self._goes_with = goes_with
        size = os.fstat(file.fileno()).st_size
        self.count, self._table = _FOOTER.unpack(self._read(size - _FOOTER.size, _FOOTER.size))
        header = self._record(0)
        self.query = StoredQuery(
            modality=from_plain(header["modality"]),
            level=Level(header["level"]),
            keys=_dataset(header["keys"]),
            local_aet=header["local_aet"],
            timeout_s=header["timeout_s"],
            default_encoding=header["default_encoding"],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._goes_with is not None:
            self._goes_with.unlink(missing_ok=True)

    def answer(self, number: int) -> Dataset:
        """Return an answer by its number, from 0. Raises IndexError, PeerFailed."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        return decode(Match(*self._record(number + 1)), self.query.default_encoding)

    def answers(self) -> Iterator[Dataset]:
        return (self.answer(number) for number in range(self.count))

    def _record(self, place: int) -> Any:
        begin = self._table + place * _OFFSET.size
        start, stop = _SPAN.unpack(self._read(begin, _SPAN.size))
        size = (stop if place < self.count else self._table) - start
        return msgpack.unpackb(self._read(start, size), strict_map_key=False)

    def _read(self, place: int, count: int) -> bytes:
        return os.pread(self._file.fileno(), count, place)


def _dataset(values: Mapping[int, Any]) -> Dataset:
    """Return a dataset as it was before msgpack made lists of its tuples."""
    return {tag: tuple(map(_dataset, value)) if isinstance(value, list) else value for tag, value in values.items()}
