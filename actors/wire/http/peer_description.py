"""How a peer is described, by the section `OrthancPeers`, by the member `Servers` of the section `DicomWeb` and by REST, in two forms compared with Orthanc 1.12.7.

Short: `[URL]` or `[URL, user name, password]`. Long: an object with `Url`, and what else `Peer` holds; members that are unknown are
properties for plugins.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from actors.wire.http.peer import Peer

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CREDENTIALS: Final = re.compile(r"((?:[A-Za-z]+://)?)([^/:@]+)(?::([^/@]*))?@")
_LONGEST_TIMEOUT_S: Final = (1 << 31) - 1  # as in Orthanc


class BadPeer(ValueError):
    """A description that is none. `told` is what Orthanc says of it; "": nothing."""

    def __init__(self, problem: str, told: str = "") -> None:
        super().__init__(problem)
        self.told = told


def parse_peer(name: str, description: object, folder: Path) -> Peer:
    """Return the peer that a JSON value describes; files are relative to `folder`. Raises BadPeer."""
    match description:
        case [url]:
            fields: dict[str, Any] = {"Url": url}
        case [url, username, password]:
            fields = {"Url": url, "Username": username, "Password": password}
        case dict():
            fields = dict(description)
        case _:
            raise BadPeer("must be [URL], [URL, user name, password] or an object")
    other_name = _text(fields, "URL")  # so Orthanc's description of the API has it
    url, in_url = _without_credentials(_text(fields, "Url") or other_name)
    username, password = _text(fields, "Username") or in_url[0], _text(fields, "Password") or in_url[1]
    if password and not username:
        raise BadPeer("has a Password and no Username")
    certificate = _text(fields, "CertificateFile")
    key, key_password = _text(fields, "CertificateKeyFile"), _text(fields, "CertificateKeyPassword")
    return Peer(
        name=name,
        url=_url(url),
        username=username,
        password=password,
        headers=_headers(fields.pop("HttpHeaders", {})),
        timeout_s=_seconds(fields.pop("Timeout", 0)),
        certificate=folder / certificate if certificate else None,
        private_key=folder / key if certificate and key else None,
        private_key_password=key_password if certificate else "",
        pkcs11=_flag(fields.pop("Pkcs11", False)),
        properties={key: _property(key, fields[key]) for key in sorted(fields)},
    )


def parse_peers(section: Mapping[str, Any], folder: Path) -> tuple[list[Peer], list[str]]:
    """Return the peers of a section that can be read, and what is wrong with the others; files are relative to `folder`."""
    peers: list[Peer] = []
    problems: list[str] = []
    for name, entry in section.items():
        try:
            peers.append(parse_peer(name, entry, folder))
        except BadPeer as exc:
            problems.append(f"{name!r:.60}: {exc}")
    return peers, problems


def _without_credentials(url: str) -> tuple[str, tuple[str, str]]:
    """Return an URL, and the user name and the password that it has before the host: they must not be shown with it."""
    found = _CREDENTIALS.match(url)
    if found is None:
        return url, ("", "")
    return found[1] + url[found.end() :], (unquote(found[2]), unquote(found[3] or ""))


def _url(url: str) -> str:
    if not url:
        raise BadPeer("lacks Url", "Empty URL")
    scheme = _SCHEME.match(url)
    if scheme is not None and scheme[1].lower() not in {"http", "https"}:
        raise BadPeer("Url must begin with http:// or https://", f"Bad URL: {url}")
    return url if url.endswith("/") else f"{url}/"


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.pop(name, "")
    if not isinstance(value, str):
        raise BadPeer(f"{name} must be a string")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadPeer("Pkcs11 must be true or false")
    return value


def _seconds(value: object) -> int:
    problem = "Timeout must be a whole number of seconds"
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadPeer(problem, "Integer value expected in field: Timeout")
    if value < 0:
        raise BadPeer(problem, "Unsigned integer value expected in field: Timeout")
    if value > _LONGEST_TIMEOUT_S:
        raise BadPeer(problem)
    return value


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadPeer("HttpHeaders must be an object of strings")
    return dict(value)


def _property(name: str, value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return str(int(value))  # so Orthanc
        case int():
            return str(value)
        case _:
            problem = f"User-defined properties associated with a Web service must be strings: {name}"
            raise BadPeer(f"{name} must be a string", problem)
