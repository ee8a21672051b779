"""Fixtures: Sinogram and a real Orthanc side by side, started with the same configuration file.

`loaded` holds every sample of the data factory and is only read. `fresh` starts empty for each module that changes things.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import data_factory
from tests.peer.comparison import Difference, ask_both
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, find_oracle, running, sinogram_command, wait_for

NO_ORACLE = "no Orthanc found: set SINOGRAM_ORTHANC_1_12_7 to its launcher or install Debian's package `orthanc`"
MODERN = (1, 12, 5)  # since then lists, pages, requested tags and changes are as 1.12.7's
STABLE_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Sinogram and the Orthanc that is right."""

    ours: Server
    theirs: Server
    oracle: Oracle

    def differences(self, requests: list[Request]) -> list[Difference]:
        return ask_both(self.ours, self.theirs, requests)

    def ids(self, level: str) -> list[str]:
        """Every identifier of `patients`, `studies`, `series` or `instances`, as Orthanc lists them."""
        listed = self.theirs.get_json(f"/{level}")
        assert isinstance(listed, list)
        return listed

    def wait_until_stable(self) -> None:
        """Until both have announced every patient, study and series as stable."""
        for server in (self.ours, self.theirs):
            wait_for(lambda server=server: _all_stable(server), f"{server.name} to become stable", STABLE_DEADLINE_S)  # type: ignore[misc] # mypy does not see the default


def _all_stable(server: Server) -> bool:
    levels = ("patients", "studies", "series")
    expanded = (server.get_json(f"/{level}?expand") for level in levels)
    return all(resource["IsStable"] for resources in expanded for resource in resources)  # type: ignore[attr-defined] # plain JSON


def _upload_everything(server: Server) -> None:
    for sample in data_factory.all_files():
        server.ask(Request("/instances", "POST", sample.data))


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    found = find_oracle()
    if found is None:
        pytest.skip(NO_ORACLE)
    return found


@pytest.fixture(scope="session")
def modern(oracle: Oracle) -> None:
    """For tests of what an older Orthanc does otherwise or not at all."""
    if oracle.version < MODERN:
        pytest.skip(f"Orthanc {'.'.join(map(str, oracle.version))} cannot judge this; 1.12.7 can ({NO_ORACLE})")


@contextmanager
def start_pair(
    oracle: Oracle, folder: Path, options: str = "", headers: dict[str, str] | None = None
) -> Iterator[Pair]:
    """Both servers, with the archives that `folder` has, empty ones as a rule; `options` are JSON lines put into the shared configuration file."""
    right = running("orthanc", [oracle.command], folder, options, headers or {}, gently=False)
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        starting = pool.submit(stack.enter_context, right)  # while ours starts
        ours = stack.enter_context(running("sinogram", sinogram_command(), folder, options, headers or {}))
        theirs = starting.result()
        theirs.version = oracle.version
        yield Pair(ours, theirs, oracle)


@pytest.fixture(scope="session")
def loaded(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("loaded")) as pair:
        data_factory.all_files()  # made once, before two threads want them
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(_upload_everything, (pair.ours, pair.theirs)):
                pass  # only errors matter; verdicts are compared by test_uploads.py
        pair.wait_until_stable()
        yield pair


@pytest.fixture(scope="module")
def fresh(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("fresh")) as pair:
        yield pair
