"""`/peers`: what REST changes holds at once in every process, for this run or for good; what is secret is never shown."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.messages.dicomweb_settings import DicomWebSettings
from actors.services.remote.peers import Peers
from actors.wire.http.peer import Peer
from tests.contract.rest_stage import Answer, RestStage, error_of, rest_stage, shown
from tests.contract.test_peer_sends import serving
from tests.dicom_bytes import dataset, encode
from tests.fault.servers import server_in, wait_for
from tools.server.core import Core

CONFIGURED = (Peer(name="b", url="http://b/"), Peer(name="a", url="https://a/", username="u", password="secret-word"))
LONG: dict[str, Any] = {
    "Url": "https://x",
    "Username": "user",
    "Password": "secret-word",
    "HttpHeaders": {"Token": "secret-word", "Other": "secret-word"},
    "Timeout": 7,
    "RemoteSelf": "me",
    "Number": 5,
}


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, peers=CONFIGURED) as made:
        yield made


def put(stage: RestStage, name: str, body: object) -> Answer:
    return stage.ask(f"/peers/{name}", "PUT", json.dumps(body).encode())


def test_what_is_put_is_shown_but_what_is_secret(stage: RestStage, tmp_path: Path) -> None:
    certificate = tmp_path / "us.pem"
    certificate.write_text("any")
    assert put(stage, "new", LONG | {"CertificateFile": str(certificate), "CertificateKeyPassword": "k"}).status == 200
    assert shown(stage.ask("/peers/new/configuration")) == {
        "CertificateFile": str(certificate),
        "CertificateKeyFile": None,
        "CertificateKeyPassword": None,
        "HttpHeaders": ["Other", "Token"],
        "Number": "5",
        "Password": None,
        "Pkcs11": False,
        "RemoteSelf": "me",
        "Timeout": 7,
        "Url": "https://x/",
        "Username": "user",
    }
    assert shown(stage.ask("/peers")) == ["a", "b", "new"]
    assert sorted(shown(stage.ask("/peers?expand"))) == ["a", "b", "new"]
    assert shown(stage.ask("/peers/new")) == ["configuration", "store", "store-straight", "system"]
    for path in ("/peers?expand", "/peers/new/configuration", "/events?limit=1000"):
        assert b"secret-word" not in stage.ask(path).body


def test_what_is_null_is_kept_for_the_same_address(stage: RestStage, tmp_path: Path) -> None:
    files = {"CertificateFile": str(tmp_path / "us.pem"), "CertificateKeyFile": str(tmp_path / "us.key")}
    for file in files.values():
        Path(file).write_text("any")
    put(stage, "new", LONG | files | {"CertificateKeyPassword": "k"})
    before = stage.deps.peers.get("new")
    kept = {"Password": None, "CertificateKeyFile": None, "CertificateKeyPassword": None, "Timeout": 8}
    nulls = LONG | files | kept | {"HttpHeaders": {"Token": None, "New": "n"}}
    assert put(stage, "new", nulls).status == 200
    assert stage.deps.peers.get("new") == replace(before, timeout_s=8, headers={"New": "n", "Token": "secret-word"})
    assert put(stage, "new", LONG | {"Password": ""}).status == 200
    assert stage.deps.peers.get("new").password == ""


@pytest.mark.parametrize("kept", [{"Password": None}, {"HttpHeaders": {"Token": None}}])
@pytest.mark.parametrize("url", ["https://x:444", "http://x", "https://y", "https://x/other"])
def test_no_secret_goes_to_another_address(stage: RestStage, kept: dict[str, Any], url: str) -> None:
    put(stage, "new", LONG)
    before = stage.deps.peers.get("new")
    status, code, details = error_of(put(stage, "new", LONG | kept | {"Url": url}))
    assert (status, code) == (400, 15)
    assert details.startswith("Secrets are kept for the same Url alone")
    assert stage.deps.peers.get("new") == before


@pytest.mark.parametrize("secret", [{"Password": None}, {"HttpHeaders": {"Token": None}}])
def test_where_nothing_is_known_nothing_can_be_kept(stage: RestStage, secret: dict[str, Any]) -> None:
    assert error_of(put(stage, "nobody", LONG | secret))[:2] == (400, 15)


def test_a_header_that_is_not_known_cannot_be_kept(stage: RestStage) -> None:
    put(stage, "new", LONG)
    assert error_of(put(stage, "new", LONG | {"HttpHeaders": {"Unknown": None}}))[:2] == (400, 15)


def test_where_remotes_come_from_is_told(archive: Core) -> None:
    with rest_stage(archive, peers=CONFIGURED) as stage:
        put(stage, "new", LONG)
        told = shown(stage.ask("/remotes/status"))
    assert told == {
        "DicomWebServers": {"Configured": [], "InDatabase": False, "Path": "/dicom-web/servers"},
        "Modalities": {"Configured": [], "InDatabase": False, "Path": "/modalities"},
        "Peers": {"Configured": ["a", "b"], "InDatabase": False, "Path": "/peers"},
    }


@pytest.mark.parametrize(
    ("web", "path"), [({"root": "/wado/"}, "/wado/servers"), ({"is_enabled": False}, None)], ids=["moved", "off"]
)
def test_where_dicomweb_servers_are_is_told(archive: Core, web: dict[str, Any], path: str | None) -> None:
    with rest_stage(archive, dicom_web=DicomWebSettings(**web)) as stage:
        assert shown(stage.ask("/remotes/status"))["DicomWebServers"]["Path"] == path


def test_a_peer_that_is_gone_is_not_found(stage: RestStage) -> None:
    assert stage.ask("/peers/a", "DELETE").status == 200
    assert error_of(stage.ask("/peers/a", "DELETE"))[:2] == (404, 7)
    assert error_of(stage.ask("/peers/a/configuration")) == (404, 17, "No peer with symbolic name: a")
    assert stage.ask("/peers/a").body == b""


def test_changes_of_the_configuration_hold_for_everybody_and_for_this_run(
    archive_factory: Callable[..., Core],
) -> None:
    archive = archive_factory()
    one, other = (Peers(CONFIGURED, archive.views, archive.client) for _ in range(2))
    assert one.remove("b")
    assert not other.remove("b")
    new = Peer(
        name="c", url="http://c/", username="u", password="p", headers={"T": "t"}, timeout_s=3, certificate=Path("/c")
    )
    other.put(new)
    assert one.get("c") == new
    assert [peer.name for peer in one.list()] == ["a", "c"]
    archive.stop()
    archive = archive_factory()
    assert Peers(CONFIGURED, archive.views, archive.client).list() == (CONFIGURED[1], CONFIGURED[0])


def test_peers_in_the_database_outlive_the_run_and_leave_the_configuration_alone(
    archive_factory: Callable[..., Core],
) -> None:
    archive = archive_factory()
    one = Peers(CONFIGURED, archive.views, archive.client, is_stored=True)
    assert one.list() == ()
    kept = Peer(name="c", url="http://c/", username="u", password="p", headers={"T": "t"}, properties={"P": "v"})
    one.put(replace(kept, password="before"))
    one.put(kept)
    one.put(replace(kept, name="d"))
    assert one.remove("d")
    assert not one.remove("d")
    archive.stop()
    archive = archive_factory()
    assert Peers(CONFIGURED, archive.views, archive.client, is_stored=True).list() == (kept,)


def test_a_peer_tells_what_it_is(stage: RestStage) -> None:
    with serving(content=b'{"Name": "B", "ApiVersion": 27}') as there:
        put(stage, "there", [f"http://127.0.0.1:{there.server_port}/base", "user", "word"])
        assert shown(stage.ask("/peers/there/system")) == {"Name": "B", "ApiVersion": 27}
    path, headers, _ = there.seen[0]
    assert path == "/base/system"
    assert headers["authorization"].startswith("Basic ")
    status, code, details = error_of(stage.ask("/peers/there/system"))
    assert (status, code) == (500, 9)
    assert details.startswith("Peer there gives no answer: ")


@pytest.mark.parametrize(
    ("status", "content", "details"),
    [
        (401, b"{}", "Peer there has answered with HTTP status 401"),
        (200, b"<html>", "Peer there does not say what it is"),
        (200, b"{}" + bytes(17 << 20), "Peer there gives no answer: the answer has more than 16777216 bytes"),
    ],
)
def test_a_peer_that_is_none(stage: RestStage, status: int, content: bytes, details: str) -> None:
    with serving(status, content) as there:
        put(stage, "there", [f"http://127.0.0.1:{there.server_port}"])
        assert error_of(stage.ask("/peers/there/system")) == (500, 9, details)


def test_a_file_is_sent_as_it_is_and_not_stored(stage: RestStage) -> None:
    file = encode(dataset(7))
    with serving() as there:
        put(stage, "there", {"Url": f"http://127.0.0.1:{there.server_port}", "HttpHeaders": {"Token": "t"}})
        told = shown(stage.ask("/peers/there/store-straight", "POST", file))
        assert stage.ask("/peers/there/store-straight", "POST", b"").status == 200  # the peer is the judge
    assert told == {"ID": "x", "Status": "Success"}
    assert [body for _, _, body in there.seen] == [file, b""]
    assert there.seen[0][1]["token"] == "t"
    assert shown(stage.ask("/instances")) == []


def test_a_script_knows_a_peer_as_soon_as_it_is_put_and_no_longer_when_it_is_gone(tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text("function OnStoredInstance(id) SendToPeer(id, 'later') end")
    files = [encode(dataset(number)) for number in (1, 2)]
    with serving() as there, server_in(tmp_path, LuaScripts=[str(script)]) as server:
        server.start()
        url = json.dumps([f"http://127.0.0.1:{there.server_port}"]).encode()
        assert server.request("PUT", "/peers/later", url).status == 200
        assert server.request("POST", "/instances", files[0]).status == 200
        wait_for(lambda: there.seen, "the instance to be sent")
        assert server.request("DELETE", "/peers/later").status == 200
        assert server.request("POST", "/instances", files[1]).status == 200
        wait_for(lambda: "No peer with symbolic name: later" in server.log, "the callback to be refused")
        assert server.stop() == 0
    assert [body for _, _, body in there.seen] == files[:1]
