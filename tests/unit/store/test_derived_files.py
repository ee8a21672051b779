"""Files that can be made again: whole or not there, bounded, shared."""

import os
from pathlib import Path

from events.identifiers import Ref
from store.derived_files import CHECK_BYTES, DerivedFiles

DIGEST, OTHER = b"\x01" * 16, b"\x02" * 16


def test_what_was_written_is_read_by_all_of_the_same_folder(tmp_path: Path) -> None:
    one, other = DerivedFiles(tmp_path / "d"), DerivedFiles(tmp_path / "d")
    assert other.read(Ref(7), DIGEST) is None
    assert one.write(Ref(7), DIGEST, b"text") == ""
    assert other.read(Ref(7), DIGEST) == b"text"
    assert (other.read(Ref(7), OTHER), other.read(Ref(8), DIGEST)) == (None, None)


def test_a_file_that_is_not_as_it_was_written_is_none(tmp_path: Path) -> None:
    files = DerivedFiles(tmp_path)
    files.write(Ref(7), DIGEST, b"text")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for wrong in (b"", whole[:3], whole[:-1], whole + b"x", bytes(len(whole)), whole[:-1] + b"T", b"X" + whole[1:]):
        path.write_bytes(wrong)
        assert files.read(Ref(7), DIGEST) is None, wrong
    assert files.write(Ref(7), DIGEST, b"new") == ""
    assert files.read(Ref(7), DIGEST) == b"new"


def test_of_too_many_those_go_that_were_used_longest_ago(tmp_path: Path) -> None:
    size = CHECK_BYTES // 4
    files = DerivedFiles(tmp_path, limit_bytes=6 * size)
    for number in range(5):
        files.write(Ref(number), DIGEST, bytes(size))
        os.utime(next(tmp_path.glob(f"{number}-*")), (number, number))
    assert files.read(Ref(0), DIGEST) is not None  # which makes it the newest
    for number in range(5, 9):
        files.write(Ref(number), DIGEST, bytes(size))
    left = {int(path.name.partition("-")[0]) for path in tmp_path.iterdir()}
    assert 0 in left
    assert 8 in left
    assert not {1, 2, 3} & left
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 6 * size


def test_a_folder_that_cannot_be_written_keeps_nothing_and_hurts_nobody(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"a file")
    files = DerivedFiles(tmp_path / "d")
    assert files.write(Ref(7), DIGEST, b"text") != ""
    assert files.read(Ref(7), DIGEST) is None
    files.forget_gone(lambda _: False)


def test_an_archive_that_is_not_to_be_changed_is_read_and_not_written(tmp_path: Path) -> None:
    DerivedFiles(tmp_path).write(Ref(7), DIGEST, b"text")
    (path,) = tmp_path.iterdir()
    os.utime(path, (1, 1))
    files = DerivedFiles(tmp_path, read_only=True)
    assert files.read(Ref(7), DIGEST) == b"text"
    assert files.write(Ref(8), DIGEST, b"text") != ""
    assert [(each, each.stat().st_mtime) for each in tmp_path.iterdir()] == [(path, 1.0)]
