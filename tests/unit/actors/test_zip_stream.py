"""The ZIP format as other programs read it, also where sizes and places need 64 bits."""

import io
import zipfile
import zlib
from datetime import datetime
from pathlib import Path

import pytest

from actors.services.archives.zip_stream import ZipStream

AT = datetime(2024, 2, 29, 13, 14, 15)  # noqa: DTZ001  # the format knows no zone
GIB = 1 << 30


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


def archive(stream: ZipStream, members: dict[str, bytes], *, streamed: bool) -> bytes:
    made: list[bytes] = []
    for name, content in members.items():
        if streamed:
            made += [stream.begin(name, len(content)), stream.piece(deflated(content))]
            made += [stream.end(zlib.crc32(content), len(content))]
        else:
            made += stream.whole(name, zlib.crc32(content), len(content), deflated(content))
    made += stream.finish()
    stream.close()
    return b"".join(made)


@pytest.mark.parametrize("streamed", [False, True])
def test_members_and_their_dates_are_read_back(tmp_path: Path, streamed: bool) -> None:
    members = {"a/b.dcm": b"one" * 1000, "é/c": b"", "d": bytes(range(256))}
    data = archive(ZipStream(AT, tmp_path), members, streamed=streamed)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == members
        assert {info.date_time for info in opened.infolist()} == {(2024, 2, 29, 13, 14, 14)}


def test_more_members_than_the_old_form_can_count(tmp_path: Path) -> None:
    members = {f"{number}": b"" for number in range(65_600)}  # also more directory than is kept in memory
    data = archive(ZipStream(AT, tmp_path), members, streamed=False)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert len(opened.namelist()) == 65_600
    assert list(tmp_path.iterdir()) == []


def test_sizes_and_places_beyond_4_gib(tmp_path: Path) -> None:
    """A file with holes stands for 6 GiB: what lies in the member is not read, its headers and the directory are."""
    stream = ZipStream(AT, tmp_path)
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.write(stream.begin("large", 6 * GIB))
        stream.written_bytes += 5 * GIB
        file.seek(5 * GIB, io.SEEK_CUR)
        file.write(stream.end(0x12345678, 6 * GIB))
        file.write(b"".join(stream.whole("behind", zlib.crc32(b"x"), 1, deflated(b"x"))))
        for piece in stream.finish():
            file.write(piece)
    stream.close()
    with zipfile.ZipFile(path) as opened:
        large, behind = opened.infolist()
        assert (large.file_size, large.compress_size, large.CRC) == (6 * GIB, 5 * GIB, 0x12345678)
        assert (behind.header_offset > 5 * GIB, opened.read(behind)) == (True, b"x")


def test_a_large_member_has_room_for_its_sizes_behind_it(tmp_path: Path) -> None:
    stream = ZipStream(AT, tmp_path)
    small, large = stream.begin("n", GIB), stream.begin("n", 5 * GIB)
    assert len(large) - len(small) == 20  # the extra field of ZIP64 (APPNOTE 4.5.3)
    end = stream.end(0, 5 * GIB)
    stream.close()
    assert len(end) == 24  # a data descriptor with sizes of 8 bytes (4.3.9.2)
