"""ZIP uploads: which members are stored, skipped or refused."""

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rest.file_kinds import kind_of
from api.rest.serving.client_gone import ClientGone
from api.rest.zip_uploads import MAGICS, ArchiveLimits, Skipped, store_members
from events.errors import InvalidDicom, MissingTag, StorageFull

GOOD = b"DICOM file"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def store(chunks: Iterator[bytes]) -> bytes:
    data = b"".join(chunks)
    if data == b"no tags":
        raise MissingTag
    if not data.startswith(b"DICOM"):
        raise InvalidDicom
    return data


def run(data: bytes, limit: int = 0, total: int = 0) -> list[bytes]:
    return store_members(io.BytesIO(data), ArchiveLimits(limit, total), store)


def test_members_are_stored_in_the_order_of_the_archive() -> None:
    assert run(zipped({"b/c/d.dcm": b"DICOM 1", "a": b"DICOM 2"})) == [b"DICOM 1", b"DICOM 2"]


def test_what_is_no_dicom_file_is_skipped() -> None:
    members = {"x.txt": b"text", "folder/": b"", "empty": b"", "no-uid": b"no tags", "good": GOOD}
    assert run(zipped(members)) == [GOOD]


def test_each_member_that_is_skipped_is_told_but_for_folders() -> None:
    broken = b"\0" * 128 + b"DICM\2\0 cut"
    members = {"x.txt": b"text", "folder/": b"", "empty.txt": b"", "folder/IM1": broken, "large": b"DICOM" * 9, "no-uid": b"no tags", "good": GOOD}  # fmt: skip
    told: list[Skipped] = []
    data = io.BytesIO(zipped(members))
    assert store_members(data, ArchiveLimits(member=len(broken)), store, on_skipped=told.append) == [b"DICOM" * 9, GOOD]
    assert [(each.name, each.kind) for each in told] == [
        ("x.txt", "other"),
        ("empty.txt", "other"),
        ("folder/IM1", "image"),
        ("no-uid", "other"),
    ]
    assert all(each.reason for each in told)
    told.clear()
    assert store_members(data, ArchiveLimits(member=len(broken) - 1), store, on_skipped=told.append)
    assert [each.reason for each in told if each.name == "folder/IM1"] == [
        f"The file is larger than MaximumFileSizeInArchiveMB: {len(broken)} bytes"
    ]


def test_what_nobody_can_look_into_may_be_an_image() -> None:
    told: list[Skipped] = []
    data = io.BytesIO(zipped({"notes.txt": GOOD}, zipfile.ZIP_BZIP2))
    assert store_members(data, ArchiveLimits(), store, on_skipped=told.append) == []
    assert told == [Skipped("notes.txt", "image", "The file is compressed with bzip2")]


_PREAMBLE = bytes(128) + b"DICM"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("README.TXT", b"for patients", "other"),
        ("IM0001", _PREAMBLE + b"\2\0\0\0UL\4\0", "image"),
        ("README.TXT", _PREAMBLE, "image"),
        ("DICOMDIR", _PREAMBLE + b"\2\0\2\0UI\x16\x001.2.840.10008.1.3.10\0", "directory"),
        ("DICOMDIR", b"a text of this name", "other"),
        ("IM0001", b"\x08\0\5\0\x0a\0\0\0ISO_IR 100", "image"),
        ("notes", b"\x08\0 or so", "other"),
        ("disc/IM1.DCM", b"text", "image"),
        ("disc/._IM1.dcm", b"\0\5\x16\7", "other"),
        ("folder.d/IM1", b"", "image"),
        ("folder.d\\IM1", bytes(1024), "image"),
        ("empty.txt", b"", "other"),
    ],
)
def test_what_a_file_that_is_not_stored_looks_like(name: str, head: bytes, kind: str) -> None:
    """The page's own tests have the same table."""
    assert kind_of(name, head) == kind


def named(*members: tuple[bytes, bytes]) -> bytes:
    """An archive whose members have the very names that are given, which zipfile would not write."""
    local = central = b""
    for name, data in members:
        sizes = struct.pack("<3I2H", zlib.crc32(data), len(data), len(data), len(name), 0)
        entry = struct.pack("<5H", 20, 0, 0, 0, 0x21) + sizes
        central += b"PK\1\2" + struct.pack("<H", 20) + entry + struct.pack("<3H2I", 0, 0, 0, 0, len(local)) + name
        local += b"PK\3\4" + entry + name + data
    return (
        local
        + central
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(members), len(members), len(central), len(local), 0)
    )


@pytest.mark.parametrize(
    "name", [b"", b"/", b"folder/", b"\0", b"a\0b", b"\xff\xfe", b"../../a", b"C:\\a", b"a" * 60_000]
)
def test_whatever_a_member_is_called_it_is_stored(name: bytes) -> None:
    assert run(named((name, GOOD), (b"other", b"DICOM 2"))) == [GOOD, b"DICOM 2"]


def test_folders_without_content_are_skipped() -> None:
    assert run(named((b"", b""), (b"/", b""), (b"folder/", b""), (b"a", GOOD))) == [GOOD]


def test_an_empty_archive_holds_nothing() -> None:
    assert run(zipped({})) == []


def test_a_damaged_member_does_not_spoil_the_others() -> None:
    data = bytearray(zipped({"a": b"DICOM damaged", "b": GOOD}, zipfile.ZIP_STORED))
    data[data.index(b"damaged")] ^= 0xFF
    assert run(bytes(data)) == [GOOD]


def test_an_encrypted_member_is_skipped() -> None:
    data = bytearray(zipped({"a": b"DICOM secret", "b": GOOD}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1  # "encrypted", of the first member alone
    assert run(bytes(data)) == [GOOD]


def test_a_member_above_the_limit_is_skipped() -> None:
    assert run(zipped({"bomb": b"DICOM" + b"\0" * 100_000, "good": GOOD}), limit=1000) == [GOOD]


def test_bzip2_is_skipped_and_lzma_refused_as_in_orthanc() -> None:
    assert run(zipped({"a": GOOD}, zipfile.ZIP_BZIP2)) == []
    with pytest.raises(InvalidDicom, match="Deflate64"):
        run(zipped({"a": GOOD}, zipfile.ZIP_LZMA))


@pytest.mark.parametrize("data", [b"PK\x03\x04junk", zipped({"a": GOOD})[:-30]], ids=["junk", "cut off"])
def test_what_cannot_be_opened_is_refused_in_orthancs_words(data: bytes) -> None:
    with pytest.raises(InvalidDicom, match="Cannot open ZIP archive from memory buffer"):
        run(data)


def test_a_full_disk_ends_the_whole() -> None:
    def fail(chunks: Iterator[bytes]) -> bytes:
        raise StorageFull

    with pytest.raises(StorageFull):
        store_members(io.BytesIO(zipped({"a": GOOD})), ArchiveLimits(), fail)


@given(st.data())
def test_no_damage_brings_the_server_into_trouble(data: st.DataObject) -> None:
    good = bytearray(zipped({"a": b"DICOM 1" * 20, "b": GOOD}, data.draw(st.sampled_from([0, 8]))))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidDicom):
        run(bytes(good), limit=10_000)


def test_the_magic_numbers_are_those_of_real_archives() -> None:
    assert zipped({"a": b""})[:4] in MAGICS
    assert zipped({})[:4] in MAGICS


def directory_of(data: bytes) -> tuple[bytes, bytes]:
    """Return the local records and the directory of an archive."""
    end = data.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<I", data, end + 16)
    return data[:start], data[start:end]


def overlapping(count: int) -> bytes:
    """An archive whose directory names its one member many times."""
    local, directory = directory_of(zipped({"a": b"DICOM" + bytes(100_000)}))
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory) * count, len(local), 0)
    return local + directory * count + end


def test_members_that_overlap_are_refused_before_any_is_stored() -> None:
    with pytest.raises(InvalidDicom, match="overlap"):
        run(overlapping(100))


def test_what_is_too_much_in_all_is_refused_before_any_is_stored() -> None:
    data = zipped({str(number): b"DICOM" + bytes(1000) for number in range(10)})
    with pytest.raises(InvalidDicom, match="MaximumArchiveSizeMB"):
        run(data, total=10_049)
    assert len(run(data, total=10_050)) == 10


def test_a_member_that_holds_more_than_it_says_is_no_member() -> None:
    data = bytearray(zipped({"a": b"DICOM" + bytes(100_000), "b": GOOD}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(signature) + offset, 10)
    assert run(bytes(data), total=1000) == [GOOD]


def test_work_ends_when_the_client_has_gone() -> None:
    left: list[bytes] = []

    def store_and_leave(chunks: Iterator[bytes]) -> bytes:
        left.append(store(chunks))
        return left[-1]

    archive = io.BytesIO(zipped({"a": GOOD, "b": GOOD, "c": GOOD}))
    with pytest.raises(ClientGone):
        store_members(archive, ArchiveLimits(), store_and_leave, lambda: bool(left))
    assert left == [GOOD]


def test_a_client_that_leaves_within_a_member_ends_it() -> None:
    asked = iter([False, True])
    archive = io.BytesIO(zipped({"a": b"DICOM" + bytes(1 << 20)}))
    with pytest.raises(ClientGone):
        store_members(archive, ArchiveLimits(), store, lambda: next(asked))
