"""What processes know of files: which look as they did when they were whole, and what was written to them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from events.identifiers import BlobId
from store.blobs import remembered
from store.blobs.remembered import MEMORY_BYTES, ROWS, Remembered, share_remembered

BLOB: Final = BlobId(bytes(range(16)))
SAME_ROW: Final = BlobId(BLOB[:8] + (int.from_bytes(BLOB[8:], "little") + (ROWS << 32)).to_bytes(8, "little"))
DATA: Final = b"what was written"


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    with (tmp_path / "file").open("w+b") as file:
        file.write(DATA)
        file.flush()
        yield file.fileno()


def test_a_file_is_known_until_it_looks_different(fd: int) -> None:
    known = Remembered()
    assert not known.knows(BLOB, fd)
    known.add(BLOB, fd)
    assert known.knows(BLOB, fd)
    os.utime(fd, ns=(0, 0))
    assert not known.knows(BLOB, fd)


def test_another_file_is_not_known_by_the_look_of_this_one(fd: int, tmp_path: Path) -> None:
    known = Remembered()
    known.add(BLOB, fd)
    assert not known.knows(BlobId(BLOB[:-1] + b"x"), fd)
    with (tmp_path / "file").open("rb") as again, (tmp_path / "other").open("wb") as other:
        assert known.knows(BLOB, again.fileno())
        assert not known.knows(BLOB, other.fileno())


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_what_was_written_is_told_from_all_else(kind: type) -> None:
    known = Remembered()
    assert not known.is_as_written(BLOB, DATA)
    known.add_written(BLOB, kind(DATA))
    assert known.is_as_written(BLOB, DATA)
    assert not known.is_as_written(BLOB, DATA[:-1] + b"N")
    assert not known.is_as_written(BLOB, DATA[:-1])
    assert not known.is_as_written(SAME_ROW, DATA)


def test_no_bytes_at_all_are_not_taken_for_a_row_that_nobody_has_written() -> None:
    assert not Remembered().is_as_written(BlobId(bytes(16)), b"")


def test_to_write_a_file_says_nothing_of_how_it_looks(fd: int) -> None:
    known = Remembered()
    known.add(BLOB, fd)
    known.add_written(BLOB, DATA)
    assert not known.knows(BLOB, fd)
    known.add(BLOB, fd)
    assert known.is_as_written(BLOB, DATA)


def test_a_file_makes_room_for_another_one_and_leaves_nothing_of_its_own(fd: int) -> None:
    known = Remembered()
    known.add_written(BLOB, DATA)
    known.add(SAME_ROW, fd)
    assert known.knows(SAME_ROW, fd)
    assert not known.knows(BLOB, fd)
    assert not known.is_as_written(BLOB, DATA)
    assert not known.is_as_written(SAME_ROW, DATA)


def test_processes_share_what_they_know(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Remembered()
    memory = os.memfd_create("files")
    os.ftruncate(memory, MEMORY_BYTES)
    monkeypatch.setattr(remembered, "_shared_fd", None)
    share_remembered(memory)
    one, other = Remembered(), Remembered()  # each maps the memory, as processes do
    os.close(memory)
    one.add(BLOB, fd)
    assert other.knows(BLOB, fd)
    other.add_written(BLOB, DATA)
    assert one.is_as_written(BLOB, DATA)
    assert not own.knows(BLOB, fd)
