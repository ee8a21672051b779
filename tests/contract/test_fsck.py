"""`sinogram fsck`: every damage has its line with what to do, nothing is changed, and a whole archive has none."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from actors.messages.commands.attachments import SetAttachment
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from events.identifiers import Level, format_resource_id
from store.blobs.store import BlobStore
from store.blobs.writer import make_blob_id
from store.records import Instance, Origin
from store.views.files import OwnedFile
from tests.data_factory import add_pixels, dataset, encode
from tools import fsck
from tools.cli import main
from tools.server.core import Core

FILES = [encode(add_pixels(dataset(instance=number))) for number in range(1, 8)]


class Archive:
    """Some instances, in a core that runs until it is stopped."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.index, self.storage = core.settings.index_directory, core.settings.storage_directory
        ingest = Ingest(core.client, core.views, core.blobs, "gateway-1", IngestSettings)
        for data in FILES:
            with ingest.open(Origin(kind="RestApi")) as upload:
                upload.write(data)
                upload.store()
        ingest.close()
        with core.views.snapshot() as snapshot:
            found = [record for record in snapshot.list(Level.INSTANCE) if isinstance(record, Instance)]
        self.instances = found
        self.paths = [core.blobs.path(record.blob) for record in found]

    def run(self, *options: str) -> int:
        return main(["fsck", "--data", str(self.index), "--storage", str(self.storage), *options])

    def run_beside(self) -> tuple[int, str]:
        """Run it in a process of its own, as beside a running server."""
        command = [sys.executable, "-m", "sinogram", "fsck", "--data", str(self.index), "--storage", str(self.storage)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout


@pytest.fixture
def archive(archive_factory: Callable[..., Core]) -> Archive:
    return Archive(archive_factory())


def test_a_whole_archive_is_well_running_or_stopped(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = archive.run_beside()
    assert status == 0
    assert "a server is running" in out
    assert out.endswith("7 instances and 7 files looked at (size and digest): all is well\n")
    archive.core.stop()
    assert archive.run("--quick") == 0
    out = capsys.readouterr().out
    assert "a server is running" not in out
    assert "(size alone): all is well" in out


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "emptied": lambda path: os.truncate(path, 0),
    "truncated": lambda path: os.truncate(path, 100),
    "overlong": lambda path: os.truncate(path, 100_000),
    "altered": flip,
    "no-file": replace_by_folder,
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_told_with_its_instance_and_what_to_do(
    archive: Archive, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    archive.core.stop()
    DAMAGES[kind](archive.paths[2])
    for _ in range(2):  # nothing is changed
        assert archive.run() == 1
        out = capsys.readouterr().out
        owner = format_resource_id(archive.instances[2].id)
        assert f"{kind}: {archive.paths[2]} of instance {owner}; send the same instance again, which heals it" in out
        assert f": 1 {kind}\n" in out
        assert "PAT1" not in out
    assert archive.run("--quick") == (0 if kind == "altered" else 1)


@pytest.mark.parametrize("kind", ["missing", "emptied", "truncated", "overlong", "no-file"])
def test_who_verifies_the_log_hears_of_files_beside_it(
    archive: Archive, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    archive.core.stop()
    (archive.storage / "blobs").rename(archive.index / "blobs")
    assert main(["log", "verify", "--data", str(archive.index)]) == 0
    path = archive.index / archive.paths[2].relative_to(archive.storage)
    DAMAGES[kind](path)
    assert main(["log", "verify", "--data", str(archive.index)]) == 1
    assert "1 of the files are damaged or missing: 'sinogram fsck' says which" in capsys.readouterr().err


def test_all_damage_is_told_at_once_and_counted(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.core.stop()
    for path, damage in zip(archive.paths, DAMAGES.values(), strict=False):
        damage(path)
    assert archive.run() == 1
    out = capsys.readouterr().out
    assert out.endswith("1 altered, 1 emptied, 1 missing, 1 no-file, 1 overlong, 1 truncated\n")


def test_attachments_are_looked_at_and_no_orphans(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    ingest = Ingest(archive.core.client, archive.core.views, archive.core.blobs, "gateway-2", IngestSettings)
    with archive.core.views.snapshot() as snapshot:
        (study,) = snapshot.list_ids(Level.STUDY)
    for number in (1024, 1030):
        with ingest.attach() as incoming:
            incoming.write(b"some bytes")
            incoming.keep(partial(SetAttachment, id=study, number=number, correlation=b""))
    ingest.close()
    archive.core.stop()
    assert archive.run() == 0
    assert "7 instances, 2 attachments and 9 files looked at" in capsys.readouterr().out
    (newest,) = [path for path in (archive.storage / "blobs").rglob("*-*") if path.read_bytes() == b"some bytes"][-1:]
    newest.write_bytes(b"other byte")
    assert archive.run() == 1
    owner = f"of study {format_resource_id(study)}; set it again, which replaces it; else delete it"
    assert re.search(rf"altered: {newest} of attachment (1024|1030) {owner}", capsys.readouterr().out)


def test_orphans_and_strangers_are_told(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.core.stop()
    orphan = archive.paths[0].with_name(BlobStore(archive.storage).path(make_blob_id(1, 4_000)).name)
    shutil.copy(archive.paths[0], orphan)
    strangers = [
        archive.paths[0].with_name("notes.txt"),
        archive.paths[0].parent.parent / "junk",
        archive.storage / "blobs" / "lost+found",
    ]
    strangers[0].touch()
    strangers[1].mkdir()
    strangers[2].mkdir()
    misplaced = archive.storage / "blobs" / "000000000" / "fff" / archive.paths[1].name
    misplaced.parent.mkdir()
    shutil.copy(archive.paths[1], misplaced)
    assert archive.run() == 1
    out = capsys.readouterr().out
    assert f"orphan: {orphan}; no instance has it" in out
    assert f"orphan: {misplaced}; no instance has it" in out
    for path in strangers:
        assert f"stranger: {path}; it is not of this server" in out


def test_what_is_under_way_and_what_waits_to_be_removed_is_no_orphan(archive: Archive) -> None:
    folder = archive.core.client.open_folder("gateway-1")
    archive.core.blobs.make_folder(folder)
    archive.core.blobs.path(make_blob_id(folder, 0)).touch()
    archive.core.client.save_cursor("lua", 0)  # type: ignore[arg-type]  # holds back the removal of files
    archive.core.client.delete(Level.INSTANCE, archive.instances[0].id)
    assert archive.paths[0].exists()
    status, out = archive.run_beside()
    assert (status, out.rpartition(": ")[2]) == (0, "all is well\n")


def test_what_is_deleted_or_healed_meanwhile_is_not_told(
    archive: Archive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check = fsck._Check._check
    first = archive.instances[0]

    def overtake(self: fsck._Check, file: OwnedFile) -> object:
        if file == first:
            archive.core.client.delete(Level.INSTANCE, first.id)
            archive.paths[0].unlink(missing_ok=True)
        return check(self, file)

    monkeypatch.setattr(fsck._Check, "_check", overtake)
    core = archive.core
    assert fsck._Check(core.environment, core.blobs, is_running=True, digests=True).run() == 0
    assert "missing" not in capsys.readouterr().out


def test_files_that_were_laid_aside_are_mentioned(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.core.stop()
    BlobStore(archive.storage).lay_aside(archive.instances[0].blob)
    assert archive.run() == 1
    assert "1 damaged files were laid aside in" in capsys.readouterr().out


def test_a_storage_folder_that_is_not_there_is_one_sentence(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.core.stop()
    for folder in (tmp_path / "nowhere", archive.index):
        assert main(["fsck", "--data", str(archive.index), "--storage", str(folder)]) == 1
        printed = capsys.readouterr()
        assert "is not there: mount its disk, or name the StorageDirectory with --storage" in printed.err
        assert printed.out == ""
    (archive.storage / "blobs" / "archive").write_bytes(bytes(16))
    assert archive.run() == 1
    assert "of another index" in capsys.readouterr().err


def test_a_folder_without_an_index_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fsck", "--data", str(tmp_path)]) == 1
    assert "holds no archive (sinogram.mdb is missing)" in capsys.readouterr().err
