"""Files that come in pieces: put together in the order of the requests, by sender, name and size."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.errors import BodyTooLarge
from api.rest.pieces import GIVEN_UP_S, MAXIMUM_FILES, PiecedFile, Pieces, parse_pieced
from api.rest.settings import RestSettings
from events.errors import Busy, InvalidRequest, StorageFailed

SENDER = "192.0.2.1"


def pieced(name: str, size: int | str, sender: str = SENDER) -> PiecedFile:
    found = parse_pieced({"HTTP_X_FILE_NAME": name, "HTTP_X_FILE_SIZE": str(size)}, sender)
    assert found is not None
    return found


@pytest.fixture
def settings(tmp_path: Path) -> RestSettings:
    return RestSettings(temporary_directory=tmp_path, maximum_request_body_size_mb=1)


@pytest.fixture
def pieces(settings: RestSettings) -> Pieces:
    return Pieces(settings)


def add(pieces: Pieces, file: PiecedFile, data: bytes) -> bytes | None:
    whole = pieces.add(file, iter([data[:2], data[2:]]))
    if whole is None:
        return None
    with whole:
        return whole.read()


def test_the_last_piece_makes_a_file_whole_and_it_can_come_again(pieces: Pieces, settings: RestSettings) -> None:
    for _ in range(2):
        assert add(pieces, pieced("a", 9), b"one") is None
        # Each request may be served by another process.
        assert add(Pieces(settings), pieced("a", 9), b"two") is None
        assert add(pieces, pieced("a", 9), b"six") == b"onetwosix"


def test_one_piece_may_be_all(pieces: Pieces) -> None:
    assert add(pieces, pieced("a", 3), b"one") == b"one"
    assert add(pieces, pieced("", 0), b"") == b""


def test_files_of_other_names_sizes_and_senders_are_others(pieces: Pieces) -> None:
    others = [pieced("a", 6), pieced("b", 6), pieced("a", 7), pieced("a", 6, "192.0.2.2")]
    for number, file in enumerate(others):
        assert add(pieces, file, b"12%d" % number) is None
    for number, file in enumerate(others):
        rest = b"x" * (file.size_bytes - 3)
        assert add(pieces, file, rest) == b"12%d" % number + rest


def test_more_than_the_size_is_an_error_and_forgotten(pieces: Pieces) -> None:
    assert add(pieces, pieced("a", 5), b"one") is None
    with pytest.raises(InvalidRequest, match="more than the 5 bytes"):
        add(pieces, pieced("a", 5), b"two")
    assert add(pieces, pieced("a", 5), b"hello") == b"hello"


def test_a_piece_that_breaks_is_not_a_part_of_the_file(pieces: Pieces) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"tw"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        pieces.add(pieced("a", 5), breaking())
    assert add(pieces, pieced("a", 5), b"hello") == b"hello"


@pytest.mark.parametrize("size", ["", "x", "-1", "1.5", "1e3", "\u00b2", "9" * 30, "0x10"])
def test_a_size_that_is_no_number_is_refused(size: str) -> None:
    with pytest.raises(InvalidRequest, match="X-File-Size"):
        pieced("a", size)


@pytest.mark.parametrize("missing", ["Name", "Size"])
def test_name_and_size_come_together(missing: str) -> None:
    headers = {"HTTP_X_FILE_NAME": "a", "HTTP_X_FILE_SIZE": "5"}
    del headers[f"HTTP_X_FILE_{missing.upper()}"]
    with pytest.raises(InvalidRequest, match=f"X-File-{missing} is missing"):
        parse_pieced(headers, SENDER)
    assert parse_pieced({}, SENDER) is None


def test_no_file_is_larger_than_a_body(pieces: Pieces) -> None:
    with pytest.raises(BodyTooLarge):
        add(pieces, pieced("a", (1 << 20) + 1), b"one")


def test_no_more_files_are_begun_than_the_limit_and_old_ones_are_given_up(pieces: Pieces, tmp_path: Path) -> None:
    for number in range(MAXIMUM_FILES):
        add(pieces, pieced(str(number), 6), b"one")
    with pytest.raises(Busy):
        add(pieces, pieced("another", 6), b"one")
    assert add(pieces, pieced("7", 6), b"two") == b"onetwo"  # what has begun goes on
    assert add(pieces, pieced("another", 6), b"one") is None
    long_ago = time.time() - GIVEN_UP_S - 1
    for path in next(tmp_path.iterdir()).iterdir():
        os.utime(path, (long_ago, long_ago))
    assert add(pieces, pieced("8", 6), b"new") is None
    assert len(list(next(tmp_path.iterdir()).iterdir())) == 1


def test_nobody_else_can_read_pieces_or_lay_a_trap(pieces: Pieces, tmp_path: Path) -> None:
    add(pieces, pieced("a", 6), b"one")
    (folder,) = tmp_path.iterdir()
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    file.unlink()
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(StorageFailed):
        add(pieces, pieced("a", 6), b"one")


def test_pieces_that_come_at_once_are_all_added(pieces: Pieces) -> None:
    wholes: list[bytes] = []

    def send() -> None:
        whole = add(pieces, pieced("a", 80), b"0123456789")
        if whole is not None:
            wholes.append(whole)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wholes == [b"0123456789" * 8]
