"""`POST /tools/reset` and `POST /tools/shutdown`: what they answer, what survives, and that the server is really gone."""

import http.client
from collections.abc import Iterator

import pytest

from tests.data_factory import dataset, encode
from tests.peer.changes import ChangeLog
from tests.peer.comparison import assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, wait_for

pytestmark = pytest.mark.peer


@pytest.fixture
def short_lived(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("short-lived")) as pair:
        yield pair


def _encoding(server: Server) -> bytes | None:
    """Its default encoding, on a new connection; None if it does not answer."""
    server.disconnect()
    try:
        return server.get("/tools/default-encoding").body
    except (OSError, http.client.HTTPException):
        return None


def _answers(server: Server) -> bool:
    return _encoding(server) is not None


def _has_forgotten(server: Server) -> bool:
    """Whether this is the server after its reset: the one before has another default encoding."""
    return _encoding(server) == b"Latin1"


@pytest.mark.usefixtures("modern")
def test_a_reset_keeps_the_archive_and_forgets_the_settings(short_lived: Pair) -> None:
    """Not compared: the log level, which Orthanc keeps and Sinogram reads anew from its command line."""
    pair = short_lived
    before = [
        Request("/instances", "POST", encode(dataset(1, 1, 1, 1))),
        Request("/tools/default-encoding", "PUT", "Greek"),
        Request("/tools/unknown-sop-class-accepted", "PUT", "1"),
        Request("/tools/accepted-transfer-syntaxes", "PUT", '["1.2.840.10008.1.2"]'),
    ]
    assert_same(pair.differences(before))
    pair.wait_until_stable()
    reset = Request("/tools/reset", "POST", "")
    assert_same(compare(reset, pair.ours.ask(reset), pair.theirs.ask(reset)))
    for server in (pair.ours, pair.theirs):
        wait_for(lambda server=server: _has_forgotten(server), f"{server.name} to come back")  # type: ignore[misc] # mypy does not see the default
    settings = ("default-encoding", "unknown-sop-class-accepted", "accepted-transfer-syntaxes")
    after = ("/instances?expand", "/studies?expand", "/statistics", "/system", *(f"/tools/{name}" for name in settings))
    assert_same(pair.differences([Request(path) for path in after]))
    assert sorted(ChangeLog.of(pair.ours).rows()) == sorted(ChangeLog.of(pair.theirs).rows())
    assert_same(pair.differences([Request("/instances", "POST", encode(dataset(1, 1, 1, 2)))]))


def test_a_shutdown_is_answered_and_happens(short_lived: Pair) -> None:
    pair = short_lived
    shutdown = Request("/tools/shutdown", "POST", "")
    assert_same(compare(shutdown, pair.ours.ask(shutdown), pair.theirs.ask(shutdown)))
    for server in (pair.ours, pair.theirs):
        wait_for(lambda server=server: not _answers(server), f"{server.name} to be gone")  # type: ignore[misc] # mypy does not see the default
