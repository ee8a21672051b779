"""Archives and media as jobs: their output, what room it has, and what damage, a crash or a cancelled run leaves."""

import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import UUID

import pytest

from actors.services.jobs.operations import archive as operation
from actors.services.jobs.operations import archive_plan
from actors.services.jobs.operations.archive import MakeArchive
from actors.wire.errors import Interrupted
from events.identifiers import Level, format_resource_id
from store.records import Instance
from store.views.jobs import find_job
from tests.contract.operations_stage import PATIENCE_S, Engine, working
from tests.contract.rest_stage import RestStage, rest_stage, shown
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

STEP = 6  # instances, in these tests
MANY = STEP * 2 + 3


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (operation, archive_plan):
        monkeypatch.setattr(module, "STEP_MEMBERS", STEP)


class Stage:
    def __init__(self, engine: Engine, rest: RestStage, archive: Core) -> None:
        self.engine, self.rest, self.archive = engine, rest, archive
        self.study = ""

    def fill(self, instances: int) -> list[bytes]:
        files = [encode(dataset(1, 1, 1, number)) for number in range(1, instances + 1)]
        answers = [json.loads(self.rest.upload(file).body) for file in files]
        self.study = f"/studies/{answers[0]['ParentStudy']}"
        return files

    def submit(self, word: str = "archive", **body: Any) -> str:
        """Have a job made of the study; returns its path."""
        asked = json.dumps({"Asynchronous": True, **body}).encode()
        return str(shown(self.rest.ask(f"{self.study}/{word}", "POST", asked))["Path"])

    def wait(self, path: str) -> None:
        with self.archive.views.snapshot() as snapshot:
            job = find_job(snapshot, UUID(path.removeprefix("/jobs/")).bytes)
        assert job is not None
        self.engine.jobs.wait(job.ref)

    def make(self, word: str = "archive", **body: Any) -> str:
        path = self.submit(word, **body)
        self.wait(path)
        return path

    def job(self, path: str) -> Any:
        return shown(self.rest.ask(path))

    def files(self) -> list[bytes]:
        """What lies in blob folders, but for files that are kept ready."""
        found = (path.read_bytes() for path in self.archive.blobs.folder(1).parent.rglob("*") if path.is_file())
        return [data for data in found if data]


@pytest.fixture
def stage(archive: Core) -> Iterator[Stage]:
    with working(archive) as engine, rest_stage(archive) as rest:
        yield Stage(engine, rest, archive)


def unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize(("word", "kind"), [("archive", "Archive"), ("media", "Media")])
def test_the_output_is_what_a_synchronous_request_is_answered(stage: Stage, word: str, kind: str) -> None:
    files = stage.fill(MANY)
    path = stage.make(word, Filename="study one.zip")
    output = stage.rest.ask(f"{path}/archive")
    assert output.headers["Content-Disposition"] == 'filename="study one.zip"'
    assert output.headers["Content-Type"] == "application/zip"
    found, at_once = (unzip(data) for data in (output.body, stage.rest.ask(f"{stage.study}/{word}").body))
    assert list(found) == list(at_once)
    assert sorted(found[name] for name in found if name != "DICOMDIR") == sorted(files)
    told = stage.job(path)
    assert (told["Type"], told["State"], told["Progress"]) == (kind, "Success", 100)
    assert told["Content"] == {
        "ArchiveSize": str(len(output.body)),
        "ArchiveSizeMB": 0,
        "Description": "REST API",
        "InstancesCount": MANY,
        "UncompressedSize": str(sum(map(len, files))),
        "UncompressedSizeMB": 0,
    }


def test_parts_of_the_output_are_given(stage: Stage) -> None:
    stage.fill(1)
    output = f"{stage.make()}/archive"
    whole = stage.rest.ask(output).body
    part = stage.rest.ask(output, headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    rest = stage.rest.ask(output, headers={"Range": "bytes=20-"})
    assert part.headers["Content-Length"] == "10"
    assert rest.body == whole[20:]
    assert stage.rest.ask(output, headers={"Range": f"bytes={len(whole)}-"}).status == 416


def test_the_newest_outputs_are_kept_as_many_as_are_configured(stage: Stage) -> None:
    stage.fill(1)
    paths = [stage.make("archive"), stage.make("media"), stage.make("archive")]
    assert [stage.rest.ask(f"{path}/archive").status for path in paths] == [404, 404, 200]
    assert [stage.job(path)["State"] for path in paths] == ["Success"] * 3
    assert stage.rest.ask(f"{paths[2]}/archive", "DELETE").status == 200
    assert stage.rest.ask(f"{paths[2]}/archive").status == 404


def test_an_output_survives_restarts(archive_factory: Callable[..., Core]) -> None:
    archive = archive_factory()
    with working(archive) as engine, rest_stage(archive) as rest:
        stage = Stage(engine, rest, archive)
        stage.fill(3)
        path = stage.make()
        before = rest.ask(f"{path}/archive").body
    archive.stop()
    with rest_stage(archive_factory()) as rest:
        assert rest.ask(f"{path}/archive").body == before
        assert shown(rest.ask(path))["State"] == "Success"
        assert rest.ask(f"{path}/archive", headers={"Range": "bytes=1-4"}).body == before[1:5]


def test_the_job_tells_of_damage(stage: Stage) -> None:
    stage.fill(3)
    with stage.archive.views.snapshot() as snapshot:
        hurt = snapshot.get_ref(Level.INSTANCE, list(snapshot.list_refs(Level.INSTANCE))[1])
    assert isinstance(hurt, Instance)
    stage.archive.blobs.path(hurt.blob).unlink()
    path = stage.make()
    told = stage.job(path)["Content"]
    assert (told["DamagedInstancesCount"], told["DamagedInstances"]) == (1, [format_resource_id(hurt.id)])
    assert format_resource_id(hurt.id) in unzip(stage.rest.ask(f"{path}/archive").body)["DAMAGED.TXT"].decode()


class Breaking(MakeArchive):
    """The operation, whose process dies, as far as the engine can see, when a step begins for the first time."""

    FATAL = 1
    seen: ClassVar[list[int]] = []

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        self.seen.append(step)
        if self.seen.count(step) == 1 and step == self.FATAL:
            raise Interrupted
        return super().run_step(step, settle)


def test_a_run_that_goes_on_behind_a_checkpoint_makes_a_whole_archive(
    archive: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaking, "seen", [])
    with working(archive, find={"Media": Breaking}.get) as engine, rest_stage(archive) as rest:
        stage = Stage(engine, rest, archive)
        files = stage.fill(MANY)
        path = stage.make("media")
        assert Breaking.seen == [0, 1, 1, 2]
        assert stage.job(path)["State"] == "Success"
        found = unzip(rest.ask(f"{path}/archive").body)
        del found["DICOMDIR"]
        assert list(found) == [f"IMAGES/IM{number}" for number in range(MANY)]
        assert sorted(found.values()) == sorted(files)
        assert len(stage.files()) == MANY + 1  # nothing of the first run


def test_a_job_that_is_cancelled_leaves_no_output(archive: Core) -> None:
    class Waiting(MakeArchive):
        def run_step(self, step: int, settle: Callable[[], None]) -> int:
            done = super().run_step(step, settle)
            if step == 0:
                began.set()
                assert may_go_on.wait(PATIENCE_S)
            return done

    began, may_go_on = threading.Event(), threading.Event()
    with working(archive, find={"Archive": Waiting}.get) as engine, rest_stage(archive) as rest:
        stage = Stage(engine, rest, archive)
        stage.fill(MANY)
        path = stage.submit("archive")
        assert began.wait(PATIENCE_S)
        assert rest.ask(f"{path}/cancel", "POST").status == 200
        may_go_on.set()
        stage.wait(path)
        assert stage.job(path)["State"] == "Failure"
        assert rest.ask(f"{path}/archive").status == 404
    assert len(stage.files()) == MANY
