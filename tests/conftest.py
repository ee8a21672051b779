"""Fixtures that every kind of test shares: a clock set by hand, an empty environment, a running archive."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.environment import Environment
from tests.clock import Clock
from tests.index_stage import IndexStage
from tools.core import Core, CoreSettings


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
def archive(tmp_path: Path, clock: Clock) -> Iterator[Core]:
    """A running core from the composition root, on a disk, with the clock of the test; no thread outlives it."""
    before = set(threading.enumerate())
    settings = CoreSettings(index_directory=tmp_path / "index", storage_directory=tmp_path / "storage")
    core = Core(settings, clock=clock)
    try:
        yield core
    finally:
        core.stop()
    assert set(threading.enumerate()) <= before, "a thread outlives the archive"
