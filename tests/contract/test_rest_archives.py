"""Archives and media leave while they are made: what a client that stays, leaves or asks wrongly is given, and what damage does to them."""

import gc
import io
import json
import os
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from api.app import create_app
from events.identifiers import parse_resource_id
from store.dicom.uids import IMPLICIT_LE
from tests.clock import Clock
from tests.contract.rest_stage import RestStage, call, pieces, rest_stage, shown
from tests.contract.rest_stage import ids as ids_of
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.pixel_files import ENCODERS, J2K_LOSSLESS, gray, pixel_file
from tools.core_settings import CoreSettings
from tools.server.core import Core


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[RestStage]:
    core = Core(CoreSettings(index_directory=folder / "index", storage_directory=folder / "storage"), clock=Clock())
    with rest_stage(core, temporary_directory=folder, loader_threads=2) as stage:
        yield stage
    core.stop()


@pytest.fixture
def rest(shared: RestStage, folder: Path) -> Iterator[RestStage]:
    yield shared
    for patient in ids_of(shared, "patients"):
        shared.ask(f"/patients/{patient}", "DELETE")
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("archive")]
    assert _read_files(folder / "storage") == []


def _read_files(folder: Path) -> list[Path]:
    """The files below a folder that this process has open for reading; ingest has some open for writing."""
    found: list[Path] = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            flags = Path(f"/proc/self/fdinfo/{descriptor.name}").read_text().split("flags:")[1].split()[0]
            if int(flags, 8) & os.O_ACCMODE == os.O_RDONLY:
                found.append(descriptor.readlink())
    return [path for path in found if path.is_relative_to(folder)]


def noisy(instance: int, pixels: int, **attributes: Any) -> bytes:
    """A file that does not become smaller."""
    made = dataset(1, 1, 1, instance, **attributes)
    made.PixelData = np.random.default_rng(instance).bytes(pixels)
    made["PixelData"].VR = "OB"
    return encode(made)


def upload(rest: RestStage, *files: bytes) -> tuple[str, dict[str, bytes]]:
    """Store the files of one study; returns its path and the files by the identifiers of their instances."""
    made = [json.loads(rest.upload(file).body) for file in files]
    return f"/studies/{made[0]['ParentStudy']}", {each["ID"]: file for each, file in zip(made, files, strict=True)}


def unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def file_of(rest: RestStage, instance: str) -> Path:
    identifier = parse_resource_id(instance)
    assert identifier is not None
    with rest.deps.views.snapshot() as snapshot:
        found = snapshot.get_instance(identifier)
    assert found is not None
    return rest.deps.blobs.path(found.blob)


@pytest.mark.parametrize("pixels", [0, 1000, (1 << 20) + 7, 3 << 20])
def test_members_of_any_size_are_the_files_as_they_came(rest: RestStage, pixels: int) -> None:
    path, files = upload(rest, *(noisy(instance, pixels) for instance in (1, 2, 3)))
    answer = rest.ask(f"{path}/archive")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert sorted(unzip(answer.body).values()) == sorted(files.values())


def test_an_archive_leaves_before_all_of_it_was_read(rest: RestStage) -> None:
    path, files = upload(rest, *(noisy(instance, 300_000) for instance in range(1, 13)))
    leaving = pieces(rest.app, f"{path}/archive", "GET", b"")
    first = next(leaving)
    assert len(first) < 400_000
    last = list(files)[-1]
    file_of(rest, last).unlink()
    found = unzip(first + b"".join(leaving))
    assert len(found) == 12  # eleven files, and what tells of the other one
    assert last in found["DAMAGED.TXT"].decode()


@pytest.mark.parametrize("pixels", [1000, 5 << 20])
def test_a_client_that_leaves_leaves_nothing_behind(rest: RestStage, pixels: int) -> None:
    path, _ = upload(rest, *(noisy(instance, pixels) for instance in range(1, 9)))
    leaving = pieces(rest.app, f"{path}/archive", "GET", b"")
    next(leaving)
    leaving.close()  # type: ignore[attr-defined]  # a generator; the fixture looks at threads and open files


def test_clients_that_read_slowly_hold_nothing_up(rest: RestStage) -> None:
    path, files = upload(rest, *(noisy(instance, 300_000) for instance in range(1, 13)))
    waiting = [pieces(rest.app, f"{path}/archive", "GET", b"") for _ in range(5)]
    begun = [next(each) for each in waiting]
    readers = str(rest.deps.views._environment._env.readers()).splitlines()[1:]
    assert not [line for line in readers if line.split()[-1:] != ["-"]]  # no snapshot is held
    assert rest.upload(encode(dataset(2))).status == 200
    assert len(unzip(rest.ask(f"{path}/archive").body)) == len(files)
    for first, others in zip(begun, waiting, strict=True):
        assert sorted(unzip(first + b"".join(others)).values()) == sorted(files.values())


def _missing(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _altered(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"?" * 10)


@pytest.mark.parametrize("word", ["archive", "media"])
@pytest.mark.parametrize("pixels", [1000, 2 << 20])
@pytest.mark.parametrize("damage", [_missing, _cut, _altered])
def test_what_is_damaged_is_told_and_the_others_are_whole(
    rest: RestStage, damage: Callable[[Path], None], pixels: int, word: str
) -> None:
    path, files = upload(rest, *(noisy(instance, pixels) for instance in (1, 2, 3)))
    hurt = list(files)[1]
    damage(file_of(rest, hurt))
    found = unzip(rest.ask(f"{path}/{word}").body)
    told = found.pop("DAMAGED.TXT").decode()
    assert [name for name in files if name in told] == [hurt]
    directory = found.pop("DICOMDIR", None)
    assert sorted(found.values()) == sorted(file for name, file in files.items() if name != hurt)
    assert (directory is None) == (word == "archive")
    if directory is not None:
        records = dcmread(io.BytesIO(directory)).DirectoryRecordSequence
        images = ["/".join(each.ReferencedFileID) for each in records if each.DirectoryRecordType == "IMAGE"]
        assert sorted(images) == sorted(found)


def test_a_file_too_large_to_be_read_twice_is_found_damaged_at_its_end(rest: RestStage) -> None:
    path, files = upload(rest, noisy(1, 17 << 20))
    (hurt,) = files
    _altered(file_of(rest, hurt))
    found = unzip(rest.ask(f"{path}/archive").body)
    assert hurt in found["DAMAGED.TXT"].decode()
    assert "altered" in found["DAMAGED.TXT"].decode()
    assert [each["ID"] for each in shown(rest.ask("/storage/status"))["Damaged"]] == [hurt]


def test_an_instance_that_is_deleted_meanwhile_is_told(rest: RestStage) -> None:
    path, files = upload(rest, *(noisy(instance, 300_000) for instance in range(1, 13)))
    leaving = pieces(rest.app, f"{path}/archive", "GET", b"")
    first = next(leaving)
    assert rest.ask(f"/instances/{list(files)[-1]}", "DELETE").status == 200
    found = unzip(first + b"".join(leaving))
    found.pop("DAMAGED.TXT", None)  # its file may be there for a while
    assert set(found.values()) >= set(list(files.values())[:-1])


def test_a_medium_is_one_for_pydicom(rest: RestStage, tmp_path: Path) -> None:
    _, files = upload(
        rest, *(encode(add_pixels(dataset(p, s, q, i))) for p in (1, 2) for s in (1, 2) for q in (1, 2) for i in (1, 2))
    )
    for name in ("create-media", "create-media-extended"):
        data = rest.ask(f"/tools/{name}", "POST", json.dumps(ids_of(rest, "patients")).encode()).body
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            opened.extractall(tmp_path / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves the removal of a folder to the collector
            told = _read_medium(tmp_path / name)
            gc.collect()
        assert told == sorted(("PAT" + uid.split(".")[3], uid) for uid in map(_uid_of, files.values()))


def _read_medium(folder: Path) -> list[tuple[str, str]]:
    """PatientID and SOPInstanceUID of all instances that pydicom finds on a medium, each file of which is what its record says."""
    medium = FileSet(folder / "DICOMDIR")
    assert all(each.load().SOPInstanceUID == each.SOPInstanceUID for each in medium)
    return sorted((each.PatientID, str(each.SOPInstanceUID)) for each in medium)


def _uid_of(file: bytes) -> str:
    return str(dcmread(io.BytesIO(file)).SOPInstanceUID)


def test_two_patients_with_a_study_of_one_uid_are_kept_apart_on_a_medium(rest: RestStage) -> None:
    same: dict[str, Any] = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4"}
    upload(rest, *(encode(dataset(patient, **same)) for patient in (1, 2)))
    data = rest.ask("/tools/create-media", "POST", json.dumps(ids_of(rest, "patients")).encode()).body
    records = dcmread(io.BytesIO(unzip(data)["DICOMDIR"])).DirectoryRecordSequence
    under: dict[str, list[str]] = {}
    for record in records:
        if record.DirectoryRecordType == "PATIENT":
            told = under.setdefault(record.PatientID, [])
        elif record.DirectoryRecordType == "IMAGE":
            told.append(record.ReferencedSOPInstanceUIDInFile)
    assert under == {"PAT1": [dataset(1).SOPInstanceUID], "PAT2": [dataset(2).SOPInstanceUID]}


def test_a_transfer_syntax_is_made_for_the_members_that_can_have_it(rest: RestStage) -> None:
    path, _ = upload(
        rest, pixel_file(J2K_LOSSLESS, gray(8), [ENCODERS[J2K_LOSSLESS](gray(8))]), encode(dataset(1, 1, 1, 2))
    )
    for found in (
        rest.ask(f"{path}/archive?transcode={IMPLICIT_LE}"),
        rest.ask(f"{path}/media", "POST", json.dumps({"Transcode": IMPLICIT_LE}).encode()),
    ):
        files = {name: data for name, data in unzip(found.body).items() if name != "DICOMDIR"}
        assert {str(dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID) for data in files.values()} == {IMPLICIT_LE}


def test_without_a_stream_the_length_is_told(shared: RestStage, rest: RestStage) -> None:
    path, files = upload(rest, *(noisy(instance, 300_000) for instance in (1, 2)))
    spooling = replace(shared.deps, settings=replace(shared.deps.settings, synchronous_zip_stream=False))
    answer = call(create_app(spooling), f"{path}/archive", "GET", b"", {})
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert sorted(unzip(answer.body).values()) == sorted(files.values())


def test_a_name_cannot_end_the_header_that_it_stands_in(rest: RestStage) -> None:
    path, _ = upload(rest, encode(dataset()))
    body = json.dumps({"Filename": 'a"b\r\nX: y/ä.zip'}).encode()
    answer = rest.ask(f"{path}/archive", "POST", body)
    assert answer.headers["Content-Disposition"] == 'filename="a%22b%0D%0AX: y/%C3%A4.zip"'
