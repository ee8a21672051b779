"""OrthancPeers: what Orthanc 1.12.7 takes and refuses."""

from pathlib import Path
from typing import Any

import pytest

from actors.messages.dicomweb_settings import DICOM_WEB
from actors.wire.http.peer import Peer
from tools.configuration.peers import odd_peers, read_peers

FOLDER = Path("/etc/sinogram")


def read(entry: Any, name: str = "a") -> Peer:
    peers, problems = read_peers({name: entry}, FOLDER)
    assert not problems
    return peers[0]


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        (["http://x:1/"], "http://x:1/"),
        (["https://x"], "https://x/"),
        (["x:80"], "x:80/"),
        ({"Url": "http://h/base"}, "http://h/base/"),
    ],
)
def test_urls(entry: Any, url: str) -> None:
    assert read(entry) == Peer(name="a", url=url)


def test_the_short_form_names_a_user() -> None:
    assert read(["http://x", "u", "p"]).credentials == ("u", "p")
    assert read(["http://x"]).credentials is None


@pytest.mark.parametrize(
    ("url", "shown", "credentials"),
    [
        ("http://u:p%40@x:1/a", "http://x:1/a/", ("u", "p@")),
        ("u@x", "x/", ("u", "")),
        ("http://x/a:b@c", "http://x/a:b@c/", None),
    ],
)
def test_credentials_in_an_url_are_not_shown_with_it(url: str, shown: str, credentials: tuple[str, str] | None) -> None:
    peer = read([url])
    assert (peer.url, peer.credentials) == (shown, credentials)


def test_the_long_form() -> None:
    entry = {
        "Url": "https://x",
        "Username": "u",
        "Password": "p",
        "HttpHeaders": {"Token": "t"},
        "Timeout": 5,
        "CertificateFile": "us.pem",
        "CertificateKeyFile": "/keys/us.key",
        "CertificateKeyPassword": "k",
        "RemoteSelf": "me",
    }
    assert read(entry, "e_-1") == Peer(
        name="e_-1",
        url="https://x/",
        username="u",
        password="p",
        headers={"Token": "t"},
        timeout_s=5,
        certificate=FOLDER / "us.pem",
        private_key=Path("/keys/us.key"),
        private_key_password="k",
        properties={"RemoteSelf": "me"},
    )


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(
        read({"Url": "http://x", "Username": "u", "Password": "secret", "HttpHeaders": {"T": "secret"}})
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (["http://x", "u"], "must be [URL], [URL, user name, password] or an object"),
        (["http://x", "u", "p", "q"], "must be [URL], [URL, user name, password] or an object"),
        ([], "must be [URL], [URL, user name, password] or an object"),
        ("http://x", "must be [URL], [URL, user name, password] or an object"),
        ({"Username": "u"}, "lacks Url"),
        (["ftp://x"], "Url must begin with http:// or https://"),
        ([5], "Url must be a string"),
        ({"Url": "http://x", "Timeout": "5"}, "Timeout must be a whole number of seconds"),
        ({"Url": "http://x", "Timeout": -1}, "Timeout must be a whole number of seconds"),
        ({"Url": "http://x", "HttpHeaders": ["x"]}, "HttpHeaders must be an object of strings"),
        ({"Url": "http://x", "Password": "p"}, "has a Password and no Username"),
        ({"Url": "http://x", "Pkcs11": 1}, "Pkcs11 must be true or false"),
        ({"Url": "http://x", "RemoteSelf": 1.5}, "RemoteSelf must be a string"),
    ],
)
def test_what_is_refused(entry: Any, reason: str) -> None:
    assert read_peers({"a": entry}, FOLDER) == ((), [f"'a': {reason}"])


def test_a_name_that_does_not_fit_a_uri() -> None:
    assert read_peers({"a b": ["http://x"]}, FOLDER)[1] == [
        "'a b': a name may hold letters, digits, dashes and underscores only"
    ]


def test_a_smart_card_is_warned_of() -> None:
    peers, _ = read_peers({"a": {"Url": "https://x", "Pkcs11": True}, "b": ["https://x"]}, FOLDER)
    assert odd_peers("OrthancPeers", peers) == [
        "OrthancPeers: a: Pkcs11 is not honoured: this server does not read smart cards"
    ]


def test_dicomweb_servers_have_the_same_forms() -> None:
    section = {
        "a b": ["http://x"],
        "c": ["http://x/", "u", "p"],
        "d": {"Url": "https://x", "HasDelete": True, "CertificateFile": "us.pem", "HttpHeaders": {"A": "b"}},
    }
    assert DICOM_WEB.problem({"Servers": section, "ServersInDatabase": True, "StowMaxSize": 3}) is None
    read = DICOM_WEB.kind.read({"Servers": section, "ServersInDatabase": True, "StowMaxSize": 3}, FOLDER)
    assert [(server.name, server.url, server.username) for server in read.servers] == [
        ("a b", "http://x/", ""), ("c", "http://x/", "u"), ("d", "https://x/", ""),
    ]  # fmt: skip
    assert read.servers[2].properties == {"HasDelete": "1"}
    assert read.servers[2].certificate == FOLDER / "us.pem"
    assert (read.servers_in_database, read.stow_max_bytes, read.stow_max_instances) == (True, 3 << 20, 10)
    assert "'p'" not in repr(read)


def test_what_is_wrong_with_a_dicomweb_server_is_told_without_its_secrets() -> None:
    problem = DICOM_WEB.problem({"Servers": {"a": ["ftp://x", "u", "word"], "b": 5}})
    assert problem == (
        "Servers 'a': Url must begin with http:// or https://; 'b': must be [URL], [URL, user name, password] or an object"
    )
