"""The section `OrthancPeers`: its two forms, read into one record per peer.

Short: `[URL]` or `[URL, user name, password]`. Long: an object with `Url`, and what else `Peer` holds; unknown members are properties
for plugins. Forms and what is refused were compared with Orthanc 1.12.7.
"""

import re
from pathlib import Path
from typing import Any, Final

from actors.wire.http.peer import Peer
from events.options import Option, Section

PEERS: Final = Option("OrthancPeers", Section(), {}, is_secret=True)
OPTIONS: Final = (PEERS,)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]*\Z")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class _Wrong(Exception):
    """The reason alone; it does not leave this file."""


def read_peers(section: dict[str, Any], folder: Path) -> tuple[tuple[Peer, ...], list[str], list[str]]:
    """Return the peers that can be read, what is wrong with the others, and warnings; files are relative to `folder`."""
    peers: list[Peer] = []
    problems: list[str] = []
    warnings: list[str] = []
    for name, entry in section.items():
        try:
            peers.append(_peer(name, entry, folder, warnings))
        except _Wrong as exc:
            problems.append(f"{name!r:.60}: {exc}")
    return tuple(peers), problems, warnings


def _peer(name: str, entry: object, folder: Path, warnings: list[str]) -> Peer:
    if not _NAME.match(name):
        raise _Wrong("a name may hold letters, digits, dashes and underscores only")
    match entry:
        case [url]:
            fields: dict[str, Any] = {"Url": url}
        case [url, username, password]:
            fields = {"Url": url, "Username": username, "Password": password}
        case dict():
            fields = dict(entry)
        case _:
            raise _Wrong("must be [URL], [URL, user name, password] or an object")
    if fields.pop("Pkcs11", False):
        warnings.append(f"OrthancPeers: {name}: Pkcs11 is not honoured: this server does not read smart cards")
    return Peer(
        name=name,
        url=_url(_text(fields, "Url")),
        username=_text(fields, "Username"),
        password=_text(fields, "Password"),
        headers=_headers(fields.pop("HttpHeaders", {})),
        timeout_s=_seconds(fields.pop("Timeout", 0)),
        certificate=_file(fields, "CertificateFile", folder),
        private_key=_file(fields, "CertificateKeyFile", folder),
        private_key_password=_text(fields, "CertificateKeyPassword"),
        properties={key: value for key, value in fields.items() if isinstance(value, str)},
    )


def _url(url: str) -> str:
    if not url:
        raise _Wrong("lacks Url")
    scheme = _SCHEME.match(url)
    if scheme is None:
        url = f"http://{url}"
    elif scheme[1].lower() not in {"http", "https"}:
        raise _Wrong("Url must begin with http:// or https://")
    return url if url.endswith("/") else f"{url}/"


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.pop(name, "")
    if not isinstance(value, str):
        raise _Wrong(f"{name} must be a string")
    return value


def _file(fields: dict[str, Any], name: str, folder: Path) -> Path | None:
    value = _text(fields, name)
    return folder / value if value else None


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _Wrong("Timeout must be a whole number of seconds")
    return value


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _Wrong("HttpHeaders must be an object of strings")
    return dict(value)
