"""Secrets of a peer or of a DICOMweb server that a client leaves as they are: null stands for one, as it does where they are shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from actors.wire.http.peer import Peer
from actors.wire.http.peer_description import BadPeer, parse_peer

_SECRETS: Final = ("Password", "CertificateKeyFile", "CertificateKeyPassword")
_HEADERS: Final = "HttpHeaders"


def parse_keeping(name: str, description: object, known: Peer | None) -> Peer:
    """Return the peer that a JSON value describes, with the secrets of the known one of this name in place of each null. Raises BadPeer.

    They are kept for the same address alone: else whoever changes the address would have them sent to a server of their own.
    """
    if known is None or not isinstance(description, dict) or not _keeps(description):
        return parse_peer(name, description, Path())
    made = parse_peer(name, _filled(description, known), Path())
    if made.url != known.url:
        problem = "Secrets are kept for the same Url alone: give Password, CertificateKeyFile and the values of HttpHeaders again"
        raise BadPeer(problem, problem)
    return made


def _keeps(description: Mapping[str, Any]) -> bool:
    headers = description.get(_HEADERS)
    values = headers.values() if isinstance(headers, dict) else ()
    return None in (*(description.get(name, "") for name in _SECRETS), *values)


def _filled(description: Mapping[str, Any], known: Peer) -> dict[str, Any]:
    file = known.private_key
    kept = dict(zip(_SECRETS, (known.password, str(file or ""), known.private_key_password), strict=True))
    filled = {name: kept.get(name) if value is None else value for name, value in description.items()}
    if isinstance(headers := filled.get(_HEADERS), dict):
        filled[_HEADERS] = {
            name: known.headers.get(name) if value is None else value for name, value in headers.items()
        }
    return filled
