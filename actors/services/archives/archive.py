"""One archive, from its members to its bytes: they are made as fast as somebody takes them, and no faster.

Members are read and compressed ahead, in threads of their own, so disk, codecs and the client are waited for at the same time. At most
twice as many are ready as there are threads, and of a large one a piece more than that. While instances come in it is slower (`pace`).

An instance whose file is damaged or gone does not end an archive: it is named in a text file at its end, `DAMAGED.TXT`.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Final

from actors.services.archives.content import PIECE_BYTES, Content, Reader
from actors.services.archives.pace import Pace
from actors.services.archives.packing import LAST_BLOCK, add_to_crc, pack, pack_piece
from actors.services.archives.report import Report
from actors.services.archives.selection import Member
from actors.services.archives.zip_stream import ZipStream
from events.errors import DamagedFile, InvalidDicom, MissingTag
from store.dicom import dicomdir
from store.dicom.elements import Buffer
from store.dicom.summary import Summary

_GATHERED_BYTES: Final = 1 << 18  # leave at once: a piece of an answer costs two changes of threads


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """How an archive is made."""

    at: datetime  # local time
    scratch: Path  # TemporaryDirectory
    threads: int = 2
    default_encoding: str = "Latin1"


@dataclass(slots=True)
class _Ready:
    """A member that was read: its content, packed already if it is small, or why there is none."""

    member: Member
    content: Content | None = None
    packed: bytes | None = None
    crc: int = 0
    told: Summary | None = None  # for the directory of a medium
    failure: str = ""


class Archive:
    """An archive that is being made. Not thread-safe; `close` ends it early."""

    def __init__(
        self,
        members: Iterator[Member],
        reader: Reader,
        options: ArchiveOptions,
        directory: dicomdir.DicomDir | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """With a `directory` it is that of a medium. `check` is called now and then; what it raises ends the archive."""
        self.report = Report()
        self._members = members if directory is None else _file_ids(members)
        self._reader = reader
        self._options = options
        self._directory = directory
        self._check = check
        self._pool = ThreadPoolExecutor(options.threads, "archive")
        self._pace = Pace()
        self._ahead = options.threads * 2
        self._reading: deque[Future[_Ready]] = deque()
        self._zip = ZipStream(options.at, options.scratch)
        self._next: Member | None = None
        self._writing: Content | None = None
        self._done = 0
        self._is_closed = False

    @property
    def done(self) -> int:
        """How many members are behind it, those that could not be read among them."""
        return self._done

    @property
    def size_bytes(self) -> int:
        """How long it is so far."""
        return self._zip.written_bytes

    def members(self) -> Iterator[list[bytes]]:
        """Iterate over the members, each as the pieces that it has, large ones several times."""
        for ready in self._read_ahead():
            yield from self._write(ready)
            self._done += 1

    def ending(self) -> Iterator[list[bytes]]:
        """Iterate over what comes behind all members."""
        if self._directory is not None:
            yield [*self._own_member(dicomdir.NAME, b"".join(self._directory.pieces()))]
        if self.report.count:
            yield [*self._own_member(Report.NAME, self.report.text())]
        for piece in self._zip.finish():
            yield [piece]

    def pieces(self) -> Generator[bytes]:
        """Iterate over the whole archive, in pieces that are worth being sent; then close it."""
        try:
            gathered: list[bytes] = []
            size_bytes = _GATHERED_BYTES  # the first leaves at once
            for parts in chain(self.members(), self.ending()):
                gathered += parts
                size_bytes += sum(map(len, parts))
                if size_bytes >= _GATHERED_BYTES:
                    yield b"".join(gathered)
                    gathered, size_bytes = [], 0
            if gathered:
                yield b"".join(gathered)
        finally:
            self.close()

    def close(self) -> None:
        """End it, whatever is under way; nothing is left behind."""
        self._is_closed = True
        self._pool.shutdown(cancel_futures=True)
        ended = [each for each in self._reading if not each.cancelled() and each.exception() is None]
        for content in (self._writing, *(future.result().content for future in ended)):
            if content is not None:
                content.close()
        self._reading.clear()
        self._zip.close()

    def _read_ahead(self) -> Iterator[_Ready]:
        self._fill()
        while self._reading:
            self._check()
            ready = self._reading[0].result()
            self._writing = ready.content
            self._reading.popleft()
            self._fill()
            yield ready
            self._pace.rest()

    def _fill(self) -> None:
        """Have members read, as many as there is room for; one that may become large in memory waits until it is alone."""
        while len(self._reading) < self._ahead:
            self._next = self._next or next(self._members, None)
            if self._next is None or (self._reading and self._reader.is_large_in_memory(self._next.instance)):
                return
            self._reading.append(self._pool.submit(self._pace.work, self._read, self._next))
            self._next = None

    def _read(self, member: Member) -> _Ready:
        """Read a member, and compress it if it is small; in a thread of the pool."""
        try:
            content = self._reader.read(member.instance, self._check_all)
        except FileNotFoundError:
            return _Ready(member, failure="it was deleted meanwhile, or has no file")
        except DamagedFile as exc:
            return _Ready(member, failure=str(exc))
        ready = _Ready(member, content)
        try:
            if self._directory is not None:
                head = self._reader.head(member.instance, content)
                ready.told = dicomdir.describe(head, self._options.default_encoding)
        except (InvalidDicom, MissingTag, DamagedFile, FileNotFoundError) as exc:
            content.close()
            return _Ready(member, failure=f"it cannot be read: {exc}")
        if content.opened is None and content.size_bytes <= PIECE_BYTES:
            ready.packed, ready.crc = pack(content.parts)
            ready.content = replace(content, parts=())  # only one of both is kept
        return ready

    def _check_all(self) -> None:
        self._check()
        if self._is_closed:
            raise Abandoned

    def _write(self, ready: _Ready) -> Iterator[list[bytes]]:
        member, content = ready.member, ready.content
        if content is None:
            self.report.add(member.name, member.instance.id, ready.failure)
            return
        if self._directory is not None:
            assert ready.told is not None
            self._directory.add(member.name, member.above, ready.told, content.sop_instance, content.transfer_syntax)
        if ready.packed is not None:
            yield [*self._zip.whole(member.name, ready.crc, content.size_bytes, ready.packed)]
            return
        with closing(content):
            yield [self._zip.begin(member.name, content.size_bytes)]
            yield from self._pack_pieces(member, content)

    def _pack_pieces(self, member: Member, content: Content) -> Iterator[list[bytes]]:
        """Compress a large member: its pieces side by side, each a part of the stream that needs none of the others."""
        crc = size_bytes = 0
        for piece, packed in self._packed(self._whole_pieces(member, content)):
            crc = add_to_crc(crc, piece)
            size_bytes += len(piece)
            self._check()
            yield [self._zip.piece(packed)]
            self._pace.rest()
        yield [self._zip.piece(LAST_BLOCK), self._zip.end(crc, size_bytes)]

    def _whole_pieces(self, member: Member, content: Content) -> Iterator[Buffer]:
        """Iterate over a content; one that turns out to be damaged ends there, and the report tells."""
        try:
            yield from content.pieces()
        except DamagedFile as exc:
            self.report.add(member.name, member.instance.id, f"what the archive holds of it is not whole: {exc}")

    def _packed(self, pieces: Iterator[Buffer]) -> Iterator[tuple[Buffer, bytes]]:
        pending: deque[Future[tuple[Buffer, bytes]]] = deque()
        for piece in pieces:
            pending.append(self._pool.submit(self._pace.work, pack_piece, piece))
            if len(pending) > self._options.threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _own_member(self, name: str, content: bytes) -> tuple[bytes, bytes]:
        packed, crc = pack((content,))
        return self._zip.whole(name, crc, len(content), packed)


class Abandoned(Exception):  # no error: nobody waits for the archive any more
    """What a thread of the pool was about is not wanted any more."""


def _file_ids(members: Iterator[Member]) -> Iterator[Member]:
    """The members under the names that they have on a medium."""
    return (replace(member, name=f"IMAGES/IM{number}") for number, member in enumerate(members))
