"""`/peers` beside a real Orthanc: what is said of peers, and instances on their way between the two, in both directions."""

import json
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.contract.certificates import make_certificates
from tests.contract.test_peer_sends import serving
from tests.data_factory import dataset, encode, shipped_files
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running
from tests.ports import free_port

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

NOBODY = free_port()
RLE = "1.2.840.10008.1.2.5"
OPTIONS = '"HttpsVerifyPeers" : false, "LogExportedResources" : true, "OrthancPeers" : {"configured" : ["http://127.0.0.1:1/", "user", "word"]},'


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
        for server in (pair.ours, pair.theirs):
            assert server.ask(Request("/peers/third", "PUT", json.dumps(peer_of(third)))).status == 200
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
    found = [stage.ask("/peers/third/system")]
    for _ in range(2):
        found.append(stage.ask("/peers/third/store-straight", "POST", file))
        assert [server.get_json("/instances") for server in (stage.pair.ours, stage.pair.theirs)] == [[], []]
        stage.third.ask(Request(f"/instances/{_only(stage.third)}", "DELETE"))
    all_of(found[:1])
    assert {each.aspect for each in found[1]} == {"body/Status"}  # the second of two servers brings a duplicate


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


def test_resources_are_sent_by_a_job(stage: Stage) -> None:
    third = stage.third
    files = [encode(dataset(90, 1, 1, number)) for number in (1, 2)]
    for server in (stage.pair.ours, stage.pair.theirs):
        for file in files:
            assert server.ask(Request("/instances", "POST", file)).status == 200
    peers: dict[str, object] = {
        "dead": [f"http://127.0.0.1:{NOBODY}/"],
        "named": [peer_of(third)[0], "user", "word"],
        "long": {"Url": peer_of(third)[0], "Timeout": 7, "Username": "u", "Password": "word", "RemoteSelf": "me"},
    }
    found = [stage.ask(f"/peers/{name}", "PUT", peer) for name, peer in peers.items()]
    study, first = (stage.pair.ids(level)[0] for level in ("studies", "instances"))
    bodies: list[object] = [
        [study], study, [first, study], [], {"Resources": [study], "Permissive": True}, {"Resources": [study], "Transcode": EXPLICIT_LE},
        {}, b"", b"nope", ["nope"], ["0" * 8 + "-00000000" * 4], {"Resources": "x"}, {"Resources": [1]}, 12, study.encode(),
    ]  # fmt: skip
    options: list[dict[str, object]] = [
        {"Compress": 1}, {"Compress": None}, {"Transcode": 5}, {"Transcode": "nope"}, {"Transcode": ""}, {"Transcode": "1.2.3"},
        {"Permissive": 1}, {"Priority": "x"}, {"Asynchronous": "x"}, {"Synchronous": 1},
    ]  # fmt: skip
    bodies += [{"Resources": [first], **option} for option in options]
    found += [stage.ask("/peers/third/store", "POST", body) for body in bodies]
    found += [stage.ask(f"/peers/{name}/store", "POST", [first]) for name in ("named", "long", "dead", "nope")]
    all_of(found)
    answers = [
        server.ask(Request("/peers/third/store", "POST", json.dumps({"Resources": [study], "Compress": True}))).json()
        for server in (stage.pair.ours, stage.pair.theirs)
    ]
    for each in answers:
        assert isinstance(each, dict)
        assert 0 < int(each.pop("Size")) < sum(map(len, files))
    assert answers[0] == answers[1]
    assert sorted(third.get(f"/instances/{name}/file").body for name in _names(third)) == sorted(files)


def _names(server: Server) -> list[str]:
    names = server.get_json("/instances")
    assert isinstance(names, list)
    return names


def test_exports_tell_alike_of_peers(stage: Stage) -> None:
    """One row a resource that a request has named; Orthanc's tell of requests that it refused later, too."""
    rows = []
    all_of([stage.ask("/instances", "POST", encode(dataset(91)))])
    for server in (stage.pair.ours, stage.pair.theirs):
        server.ask(Request("/exports", "DELETE"))
        for name in (*stage.pair.ids("studies"), *stage.pair.ids("instances")):
            assert server.ask(Request("/peers/third/store", "POST", name)).status == 200
        shown = server.get_json("/exports")
        assert isinstance(shown, dict)
        rows.append([{key: row[key] for key in row if key not in {"Date", "Seq"}} for row in shown["Exports"]])
    assert rows[0] == rows[1]
    assert rows[0]


def test_what_ours_sends_compressed_and_transcoded_is_stored(stage: Stage) -> None:
    third, ours = stage.third, stage.pair.ours
    sample = next(each.data for each in shipped_files() if each.name == "MR_small_RLE.dcm")
    sent = ours.ask(Request("/instances", "POST", sample)).json()
    assert isinstance(sent, dict)
    for body, syntax in (
        ({"Compress": True}, RLE),
        ({"Transcode": EXPLICIT_LE, "Compress": True}, EXPLICIT_LE),
        ({"Transcode": IMPLICIT_LE}, IMPLICIT_LE),
    ):
        third.ask(Request(sent["Path"], "DELETE"))
        request = json.dumps({"Resources": [sent["ID"]], **body})
        assert ours.ask(Request("/peers/third/store", "POST", request)).status == 200
        assert third.get(f"{sent['Path']}/metadata/TransferSyntax").body.decode() == syntax


def test_peers_are_shown_the_same_certificate_password_and_headers(stage: Stage, tmp_path: Path) -> None:
    """Both are clients of a server of the test's own: no Orthanc at hand takes TLS without ending."""
    made = make_certificates(tmp_path)
    strict = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(made.trusted))
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.maximum_version = ssl.TLSVersion.TLSv1_2  # the refusal comes with the handshake
    strict.load_cert_chain(made.server.certificate, made.server.key)
    certified = {"CertificateFile": str(made.client.certificate), "CertificateKeyFile": str(made.client.key)}
    known = {"Username": "jos\u00e9", "Password": "w:ord", "HttpHeaders": {"Token": "t", "Other": "o"}, "Timeout": 20}
    content = b'{\n   "ID" : "x",\n   "Status" : "Success"\n}'  # as an Orthanc lays it out
    with serving(content=content, tls=strict) as there:
        url = f"https://127.0.0.1:{there.server_port}/base"
        for name, peer in (("known", known | certified), ("stranger", known)):
            all_of([stage.ask(f"/peers/{name}", "PUT", {"Url": url, **peer})])
        all_of([stage.ask("/peers/known/system"), stage.ask("/peers/known/store-straight", "POST", b"file")])
        all_of([stage.ask("/peers/stranger/system"), stage.ask("/peers/stranger/store-straight", "POST", b"file")])
    assert [path for path, _, _ in there.seen] == ["/base/system"] * 2 + ["/base/instances"] * 2
    sent = [{name: headers.get(name) for name in ("authorization", "token", "other")} for _, headers, _ in there.seen]
    assert sent[0] == sent[1] == sent[2] == sent[3]
    assert None not in sent[0].values()
    assert [body for _, _, body in there.seen][2:] == [b"file"] * 2
