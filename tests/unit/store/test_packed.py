"""Compressed files: standard streams in Orthanc's form, read in bounded pieces; whatever is not what was stored is damage."""

import hashlib
import io
import os
import random
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import DamagedFile, StorageFull
from events.identifiers import BlobId
from events.stored_file import PlainFile
from store.blobs import store as blob_store
from store.blobs.damage import Damage, Damaged, Kind
from store.blobs.packed import PIECE_BYTES, UnpackedFile, pack, unpack
from store.blobs.store import BlobStore
from store.dicom.mapped import MappedFile

BLOB = BlobId(bytes(range(16)))
CONTENT = random.Random(7).randbytes(100_000) + bytes(700_000)
contents = st.one_of(
    st.binary(max_size=2_000),
    st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=70), st.integers(1, 20_000)),
)


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def packed(content: bytes) -> bytes:
    return b"".join(pack(content))


def described(content: bytes, lying: bytes, *, digests: bool = True) -> PlainFile:
    return PlainFile(
        blob=BLOB,
        size_bytes=len(content),
        md5=md5(content) if digests else b"",
        compression=1,
        packed_bytes=len(lying),
        packed_md5=md5(lying) if digests else b"",
    )


def by_the_standard_library(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + zlib.compress(content) if content else b""


@given(contents)
def test_what_is_packed_is_a_standard_stream_behind_the_size(content: bytes) -> None:
    lying = packed(content)
    assert lying[:8] == (len(content).to_bytes(8, "little") if content else b"")
    assert zlib.decompress(lying[8:]) == content if content else not lying


@given(contents, st.sampled_from([packed, by_the_standard_library]))
def test_the_content_comes_back(content: bytes, make: Callable[[bytes], bytes]) -> None:
    lying = make(content)
    pieces = list(unpack(BytesIO(lying), described(content, lying)))
    assert b"".join(pieces) == content
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)


@given(contents, st.data())
def test_a_beginning_comes_back(content: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(content) + 10))
    lying = packed(content)
    assert b"".join(unpack(BytesIO(lying), described(content, lying), end)) == content[:end]


def test_no_more_is_read_than_a_beginning_needs() -> None:
    content = bytes(5_000) + random.Random(1).randbytes(5_000_000)
    source = BytesIO(packed(content))
    assert b"".join(unpack(source, described(content, source.getvalue()), 4_000)) == content[:4_000]
    assert source.tell() < 10_000


@given(st.binary(min_size=1, max_size=3_000), st.data())
def test_a_stream_that_is_cut_is_damage(content: bytes, data: st.DataObject) -> None:
    lying = packed(content)
    cut = lying[: data.draw(st.integers(0, len(lying) - 1))]
    with pytest.raises(Damaged) as caught:
        list(unpack(BytesIO(cut), described(content, lying)))
    assert caught.value.damage.kind is Kind.ALTERED


@given(st.binary(min_size=1, max_size=3_000), st.data())
def test_a_stream_with_another_byte_is_damage_or_has_the_same_content(content: bytes, data: st.DataObject) -> None:
    """Bits that a decoder does not look at, such as a level in the header of the stream, change nothing."""
    lying = bytearray(packed(content))
    lying[data.draw(st.integers(0, len(lying) - 1))] ^= data.draw(st.integers(1, 255))
    file = described(content, bytes(lying))
    found: bytes | Damage
    try:
        found = b"".join(unpack(BytesIO(bytes(lying)), file))
    except Damaged as exc:
        found = exc.damage
    assert found in {content, Damage(BLOB, Kind.ALTERED, len(lying))}


@pytest.mark.parametrize(
    "alter",
    [
        lambda lying: lying + b"\0",
        lambda lying: lying + lying[8:],
        lambda lying: (len(CONTENT) + 1).to_bytes(8, "little") + lying[8:],
        lambda lying: lying[:8],
        lambda lying: lying[:8] + bytes(len(lying) - 8),
    ],
    ids=["a byte more", "two streams", "another size", "no stream", "zeros"],
)
def test_what_does_not_belong_to_the_stream_is_damage(alter: Callable[[bytes], bytes]) -> None:
    lying = alter(packed(CONTENT))
    with pytest.raises(Damaged):
        list(unpack(BytesIO(lying), described(CONTENT, lying)))


def test_what_holds_more_than_is_said_of_it_is_damage_before_it_is_inflated() -> None:
    said, bomb = CONTENT[:1_000], packed(bytes(200_000_000))
    lying = len(said).to_bytes(8, "little") + bomb[8:]
    source = BytesIO(lying)
    pieces: list[bytes] = []
    with pytest.raises(Damaged):
        pieces.extend(unpack(source, described(said, lying)))
    assert sum(map(len, pieces)) <= len(said)
    assert source.tell() < len(lying)


# -- as files -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path)


def listen(blobs: BlobStore) -> list[Kind]:
    """Return the damage that is reported from now on."""
    told: list[Kind] = []

    def note(damage: Damage) -> bool:
        told.append(damage.kind)
        return True

    blobs.on_damage = note
    return told


def lay(blobs: BlobStore, lying: bytes) -> Path:
    path = blobs.path(BLOB)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lying)
    return path


@pytest.fixture(params=[4 << 20, 0], ids=["in memory", "in a file"])
def everywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_store, "UNPACKED_BYTES", request.param)
    monkeypatch.setattr(blob_store, "MAPPED_BYTES", request.param)


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("digests", [True, False])
def test_every_way_to_read_gives_the_content(blobs: BlobStore, *, digests: bool) -> None:
    file = described(CONTENT, packed(CONTENT), digests=digests)
    path = lay(blobs, packed(CONTENT))
    data = blobs.read_instance(file)
    assert bytes(data) == CONTENT
    assert blobs.read_small(file) == CONTENT
    assert blobs.read_beginning(file, 1_234) == CONTENT[:1_234]
    with blobs.open_instance(file) as opened:
        assert opened.read() == CONTENT
    with blobs.open_as_it_lies(file) as opened:
        assert opened.read() == path.read_bytes()
    blobs.check_instance(file)
    reopen = blobs.reopener(file, data)
    if reopen is None:
        assert isinstance(data, bytes)
    else:
        with reopen() as again:
            assert again.read() == CONTENT


def open_files() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


def test_what_is_laid_in_a_file_leaves_nothing_behind(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(blob_store, "UNPACKED_BYTES", 0)
    lay(blobs, packed(CONTENT))
    before = open_files()
    data = blobs.read_instance(described(CONTENT, packed(CONTENT)))
    assert isinstance(data, MappedFile)
    with memoryview(data) as view:
        assert view[-1] == CONTENT[-1]
    del data, view
    assert open_files() <= before


def test_a_full_disk_is_no_damage(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    told = listen(blobs)
    monkeypatch.setattr(blob_store, "UNPACKED_BYTES", 0)
    lay(blobs, packed(CONTENT))

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(StorageFull, match="temporary files"):
        blobs.read_instance(described(CONTENT, packed(CONTENT)))
    assert told == []


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("digests", [True, False])
@pytest.mark.parametrize(
    ("alter", "kind"),
    [
        (lambda lying: lying[:-1], Kind.TRUNCATED),
        (lambda lying: lying + b"x", Kind.OVERLONG),
        (lambda lying: lying[:50_000] + bytes((lying[50_000] ^ 4,)) + lying[50_001:], Kind.ALTERED),
        (lambda lying: lying[:-1] + bytes((lying[-1] ^ 1,)), Kind.ALTERED),
    ],
    ids=["cut", "longer", "a bit in the middle", "its checksum"],
)
def test_who_reads_a_damaged_file_is_told_and_it_is_reported(
    blobs: BlobStore, alter: Callable[[bytes], bytes], kind: Kind, *, digests: bool
) -> None:
    told = listen(blobs)
    file = described(CONTENT, packed(CONTENT), digests=digests)
    lay(blobs, alter(packed(CONTENT)))
    readers: list[Callable[[], Any]] = [
        lambda: blobs.read_instance(file),
        lambda: blobs.read_small(file),
        lambda: blobs.open_instance(file).read(),
    ]
    for read in readers:
        with pytest.raises(DamagedFile, match=f"is {kind}"):
            read()
    assert told == [kind] * len(readers)


# -- as a stream -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[UnpackedFile]:
    path = tmp_path / "packed"
    path.write_bytes(packed(CONTENT))
    with UnpackedFile(FileIO(path), described(CONTENT, packed(CONTENT)), lambda _: DamagedFile("told")) as opened:
        yield opened


@given(moves=st.lists(st.tuples(st.integers(0, len(CONTENT) + 9), st.integers(0, 300_000)), max_size=4))
def test_a_stream_reads_what_a_file_of_the_content_would(moves: list[tuple[int, int]]) -> None:
    file = BytesIO(CONTENT)
    lying = packed(CONTENT)
    with UnpackedFile(BytesIO(lying), described(CONTENT, lying), lambda _: DamagedFile("told")) as stream:  # type: ignore[arg-type]  # it is read and sought alike
        buffered = io.BufferedReader(stream, 5_000)
        for place, count in moves:
            assert buffered.seek(place) == min(place, len(CONTENT)) or place > len(CONTENT)
            file.seek(place)
            assert buffered.read(count) == file.read(count)


def test_a_stream_may_be_read_piece_by_piece_to_its_end(stream: UnpackedFile) -> None:
    pieces = list(iter(lambda: stream.read(65_536), b""))
    assert b"".join(pieces) == CONTENT
    assert stream.tell() == len(CONTENT)
    assert stream.read(1) == b""
    assert stream.seek(-1, io.SEEK_CUR) == len(CONTENT) - 1
    assert stream.read() == CONTENT[-1:]
    with pytest.raises(io.UnsupportedOperation):
        stream.seek(0, io.SEEK_END)


def test_a_stream_does_not_end_quietly_where_it_is_damaged(tmp_path: Path) -> None:
    lying = packed(CONTENT)
    path = tmp_path / "packed"
    path.write_bytes(lying[:80_000] + bytes(len(lying) - 80_000))
    with UnpackedFile(FileIO(path), described(CONTENT, lying), lambda _: DamagedFile("told")) as stream:
        pieces = iter(lambda: stream.read(50_000), b"")
        for _ in range(2):
            with pytest.raises(DamagedFile):
                list(pieces)
            pieces = iter(lambda: stream.read(50_000), b"")
