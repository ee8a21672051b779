"""Fixtures that every kind of test shares: a clock set by hand, an empty environment, a running archive."""

import gc
import importlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from actors.services.codecs.pool import CodecPool
from store.environment import Environment
from tests import pynetdicom_pause
from tests.clock import Clock
from tests.index_stage import IndexStage
from tools.core_settings import CoreSettings
from tools.server.core import Core

# An example may take its time on a loaded machine: what is too slow shows elsewhere.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

TESTS = Path(__file__).parent
WITH_A_BROWSER = "browser"


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a process a file at a time, but at once those that share a browser, which is dear to start."""

    def _split_scope(self, nodeid: str) -> str:
        return WITH_A_BROWSER if f"/{WITH_A_BROWSER}/" in nodeid else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection(session: pytest.Session) -> None:
    """Load the modules of the whole suite with little work.

    The collector would look at what stays: 3 of 8 s in each process. In a new checkout pytest rewrites each module's assertions, 14 s
    of work, and keeps them in a file: each process begins elsewhere, and finds what the others have kept.
    """
    gc.disable()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if not worker or session.config.args != session.config.getini("testpaths"):
        return
    files = sorted(path for path in TESTS.rglob("test_*.py") if path.with_name("__init__.py").exists())
    first = len(files) * int(worker) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for path in files[first:] + files[:first]:
        with suppress(Exception, pytest.skip.Exception):  # pytest tells of it when it comes to the module
            importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix the folders' files: while some tests wait for servers, others compute. Those of units are short, and some are left for the end."""
    files: dict[str, dict[Path, list[pytest.Item]]] = {}
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        file = item.path.parent if folder == WITH_A_BROWSER else item.path
        files.setdefault(folder, {}).setdefault(file, []).append(item)
    placed = [
        ((place + 0.5) / len(of_folder) * (1 if folder == "unit" else 0.9), of_file)
        for folder, of_folder in files.items()
        for place, of_file in enumerate(of_folder.values())
    ]
    items[:] = [item for _, of_file in sorted(placed, key=itemgetter(0)) for item in of_file]


def pytest_collection_finish() -> None:
    pynetdicom_pause.mend()
    gc.freeze()
    gc.enable()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    """An empty environment that nothing syncs."""
    with Environment(tmp_path, writable=True, durable=False) as environment:
        yield environment


@pytest.fixture
def stage(env: Environment, clock: Clock) -> IndexStage:
    """An index without a thread, with folder 1 leased to gateway-1."""
    made = IndexStage(env, clock)
    assert made.lease() == 1
    return made


@pytest.fixture
def archive_factory(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Core]]:
    """Starts cores from the composition root, on one disk, with the clock of the test; no thread outlives them.

    Options are those of `CoreSettings`. A core that the test has stopped itself is left alone.
    """
    before = set(threading.enumerate())
    running: list[Core] = []

    def start(**options: Any) -> Core:
        settings = CoreSettings(index_directory=tmp_path / "index", storage_directory=tmp_path / "storage", **options)
        running.append(Core(settings, clock=clock))
        return running[-1]

    try:
        yield start
    finally:
        for core in running:
            if core.is_alive():
                core.stop()
    assert set(threading.enumerate()) <= before, "a thread outlives the archive"


@pytest.fixture
def archive(archive_factory: Callable[..., Core]) -> Core:
    """A running core."""
    return archive_factory()


@pytest.fixture
def codecs() -> Iterator[CodecPool]:
    """Codec processes; none is started before a test decodes something."""
    pool = CodecPool()
    yield pool
    pool.close()
