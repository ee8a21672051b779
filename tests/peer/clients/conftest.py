"""Fixtures for client libraries: the server that they drive, with what is in it.

Each test is run against Sinogram, in the long run against Orthanc, too: an assertion that does not hold there is wrong.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pyorthanc import AsyncOrthanc

from tests.peer.clients.pyorthanc_stage import TIMEOUT_S, Awaited, Recorded
from tests.peer.clients.stage import PASSWORD, USER, Archive, Stage, started
from tests.peer.conftest import MODERN, NO_ORACLE
from tests.peer.exchange import Request
from tests.peer.servers import Oracle


@pytest.fixture(scope="module", params=["sinogram", pytest.param("orthanc", marks=pytest.mark.nightly)])
def stage(request: pytest.FixtureRequest, oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if request.param == "orthanc" and oracle.version < MODERN:
        pytest.skip(NO_ORACLE)
    with started(request.param, oracle, tmp_path_factory.mktemp("pyorthanc")) as made:
        yield made


@pytest.fixture
def archive(stage: Stage) -> Archive:
    return stage.filled()


@pytest.fixture
def other(stage: Stage, archive: Archive) -> Stage:
    """The archive, and the other server as the modality and the peer `other`."""
    for path, body in (
        ("/modalities/other", stage.modality),
        ("/peers/other", {"Url": stage.other_url}),
        ("/dicom-web/servers/other", {"Url": f"{stage.other_url}/dicom-web"}),
    ):
        status = stage.server.ask(Request(path, "PUT", json.dumps(body))).status
        assert status == 200 or path.startswith("/dicom-web")  # which needs a plugin in Orthanc
    return stage


@pytest.fixture
def moved(other: Stage) -> Stage:
    """The other server alone has the archive."""
    other.move()
    return other


@pytest.fixture(scope="module")
def clients(stage: Stage) -> Iterator[dict[str, Any]]:
    made: dict[str, Any] = {
        "blocking": Recorded(stage.url, USER, PASSWORD, timeout=TIMEOUT_S),
        "asynchronous": Awaited(AsyncOrthanc(stage.url, USER, PASSWORD, timeout=TIMEOUT_S)),
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(params=["blocking", pytest.param("asynchronous", marks=pytest.mark.nightly)])
def client(request: pytest.FixtureRequest, clients: dict[str, Any]) -> Any:
    return clients[request.param]
