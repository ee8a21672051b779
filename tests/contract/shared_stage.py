"""One application for the tests of a module, emptied after each: a start of the archive costs more than most of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.rest_stage import RestStage, ids, rest_stage
from tools.core_settings import CoreSettings
from tools.server.core import Core


@contextmanager
def shared_stage(folder: Path) -> Iterator[RestStage]:
    """Start an archive below `folder`; its temporary directory is `folder/temporary`."""
    temporary = folder / "temporary"
    temporary.mkdir()
    core = Core(CoreSettings(index_directory=folder / "index", storage_directory=folder / "storage"))
    try:
        with rest_stage(core, temporary_directory=temporary) as stage:
            yield stage
    finally:
        core.stop()


def empty(stage: RestStage) -> None:
    """Delete all patients, and check that no request has left a file behind."""
    for patient in ids(stage, "patients"):
        assert stage.ask(f"/patients/{patient}", "DELETE").status == 200
    assert list(stage.deps.settings.temporary_directory.iterdir()) == []
