"""`/peers` beside a real Orthanc: what is said of peers, and instances on their way between the two, in both directions."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.data_factory import dataset, encode
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running
from tests.ports import free_port

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

NOBODY = free_port()
OPTIONS = '"LogExportedResources" : true, "OrthancPeers" : {"configured" : ["http://127.0.0.1:1/", "user", "word"]},'


@dataclass
class Stage:
    """Both servers, and an Orthanc that is a peer of both."""

    pair: Pair
    third: Server

    def ask(self, path: str, method: str = "GET", body: object = None) -> list[Difference]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = Request(path, method, data)
        answers = [server.ask(request) for server in (self.pair.ours, self.pair.theirs)]
        return compare(request, *answers)


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("peers")
    with (
        running("third", [oracle.command], folder, gently=False) as third,
        start_pair(oracle, folder, OPTIONS) as pair,
    ):
        yield Stage(pair, third)


def all_of(differences: Iterable[list[Difference]]) -> None:
    assert_same([each for found in differences for each in found])


LONG: dict[str, object] = {"Url": "http://x"}


def test_peers_are_added_shown_and_removed(stage: Stage, tmp_path: Path) -> None:
    file, other = str(tmp_path / "us.pem"), str(tmp_path / "us.key")
    for name in (file, other):
        Path(name).write_text("any")
    bodies: list[object] = [
        ["http://x"], ["http://x", "u"], ["http://x", "u", "p"], ["http://x", "u", "p", "q"], [], "x", 12, b"nojson", b"", b"null",
        ["x:80"], ["ftp://x"], [""], ["http://x", "", "p"], ["https://x/y", "", ""], {}, {"URL": "http://x"}, {"Url": 5}, {"Url": ""},
        LONG | {"URL": "http://y"}, LONG | {"Timeout": 5}, LONG | {"Timeout": "5"}, LONG | {"Timeout": -1}, LONG | {"Timeout": 1.5},
        LONG | {"Timeout": None}, LONG | {"Timeout": 1 << 31}, LONG | {"HttpHeaders": ["x"]}, LONG | {"HttpHeaders": {"A": 5}},
        LONG | {"HttpHeaders": None}, LONG | {"HttpHeaders": {"b": "secret", "A": "5"}}, LONG | {"Username": 5}, LONG | {"Username": "u"},
        LONG | {"Password": "p"}, LONG | {"Username": "u", "Password": 5}, LONG | {"Username": "é", "Password": "p"},
        LONG | {"Pkcs11": "x"}, LONG | {"Pkcs11": True}, LONG | {"Foo": True, "No": False, "Bar": 5, "S": "s"}, LONG | {"Foo": None},
        LONG | {"Foo": 1.5}, LONG | {"Foo": [1]}, LONG | {"S": "s", "B": {"a": 1}, "A": []}, LONG | {"CertificateFile": ""},
        LONG | {"CertificateFile": "/nowhere/us.pem"}, LONG | {"CertificateFile": 5}, LONG | {"CertificateKeyFile": other},
        LONG | {"CertificateFile": file}, LONG | {"CertificateFile": file, "CertificateKeyFile": "/nowhere/us.key"},
        LONG | {"CertificateFile": file, "CertificateKeyFile": other, "CertificateKeyPassword": "k"},
    ]  # fmt: skip
    found = [stage.ask("/peers?expand")]
    for body in bodies:
        found.append(stage.ask("/peers/new", "PUT", body))
        found.append(stage.ask("/peers/new/configuration"))
    found += [
        stage.ask("/peers/we%20ird", "PUT", ["http://x"]),
        stage.ask("/peers/a.b", "PUT", ["http://x"]),
        *(stage.ask(f"/peers{path}") for path in ("", "/", "?expand", "?expand=x", "?expand=false", "/new", "/new/")),
        *(stage.ask(f"/peers{path}") for path in ("/nope", "/nope/configuration", "/new/store-straight", "/new/nope")),
        stage.ask("/peers/new", "POST", []),
        stage.ask("/peers/new/system", "POST", {}),
        stage.ask("/peers", "POST", {}),
        stage.ask("/peers", "DELETE"),
        stage.ask("/peers/new", "DELETE"),
        stage.ask("/peers/new", "DELETE"),
        stage.ask("/peers/configured", "DELETE"),
        stage.ask("/peers/new"),
        stage.ask("/peers"),
    ]
    all_of(found)


def peer_of(server: Server, path: str = "") -> list[str]:
    return [f"http://127.0.0.1:{server.http_port}/{path}"]


def test_a_peer_says_what_it_is_and_takes_a_file(stage: Stage) -> None:
    file = encode(dataset(70))
    found = [stage.ask("/peers/third", "PUT", peer_of(stage.third)), stage.ask("/peers/third/system")]
    for _ in range(2):
        found.append(stage.ask("/peers/third/store-straight", "POST", file))
        assert [server.get_json("/instances") for server in (stage.pair.ours, stage.pair.theirs)] == [[], []]
        stage.third.ask(Request(f"/instances/{_only(stage.third)}", "DELETE"))
    all_of(found[:2])
    assert {each.aspect for each in found[2]} == {"body/Status"}  # the second of two servers brings a duplicate


def _only(server: Server) -> str:
    names = server.get_json("/instances")
    assert isinstance(names, list)
    (name,) = names
    return str(name)


def test_peers_that_are_none(stage: Stage, tmp_path: Path) -> None:
    gone = tmp_path / "us.pem"
    gone.write_text("any")
    peers: dict[str, object] = {
        "dead": [f"http://127.0.0.1:{NOBODY}/"],
        "lost": ["http://nosuch.invalid/"],
        "tls": [f"https://127.0.0.1:{stage.third.http_port}/"],
        "elsewhere": peer_of(stage.third, "nowhere"),
        "certified": {"Url": peer_of(stage.third)[0], "CertificateFile": str(gone)},
    }
    found = [stage.ask(f"/peers/{name}", "PUT", peer) for name, peer in peers.items()]
    gone.unlink()
    for name in (*peers, "nope"):
        found.append(stage.ask(f"/peers/{name}/system"))
        found.append(stage.ask(f"/peers/{name}/store-straight", "POST", encode(dataset(71))))
        found.append(stage.ask(f"/peers/{name}", "DELETE"))
    found.append(stage.ask("/peers/third", "PUT", peer_of(stage.third)))
    found += [stage.ask("/peers/third/store-straight", "POST", body) for body in (b"", b"no file")]
    all_of(found)


def test_each_is_a_peer_of_the_other(stage: Stage) -> None:
    ours, theirs = stage.pair.ours, stage.pair.theirs
    for number, (sender, receiver) in enumerate(((ours, theirs), (theirs, ours))):
        file = encode(dataset(80 + number))
        assert sender.ask(Request("/peers/other", "PUT", json.dumps(peer_of(receiver)))).status == 200
        assert sender.get_json("/peers/other/system") == receiver.get_json("/system")
        sent = sender.ask(Request("/peers/other/store-straight", "POST", file)).json()
        assert isinstance(sent, dict)
        assert receiver.get(f"{sent['Path']}/file").body == file
        assert receiver.ask(Request(sent["Path"], "DELETE")).status == 200
        assert sender.ask(Request("/peers/other", "DELETE")).status == 200


def test_peers_in_the_database_outlive_a_restart(oracle: Oracle, tmp_path: Path) -> None:
    options = OPTIONS + '"OrthancPeersInDatabase" : true,'
    for bodies in ([["http://kept/", "user", "word"]], []):
        with start_pair(oracle, tmp_path, options) as pair:
            made = Stage(pair, pair.theirs)
            all_of([made.ask("/peers/kept", "PUT", body) for body in bodies])
            all_of([made.ask("/peers?expand")])
            assert pair.ours.get_json("/peers") == ["kept"]
