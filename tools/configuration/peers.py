"""The section `OrthancPeers`, read into one record per peer (`actors.wire.http.peer_description`)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from actors.services.remote.modality import NAME
from actors.wire.http.peer import Peer
from actors.wire.http.peer_description import parse_peers
from events.options import Option, Section

PEERS: Final = Option("OrthancPeers", Section(), {}, is_secret=True)
OPTIONS: Final = (PEERS,)


def read_peers(section: dict[str, Any], folder: Path) -> tuple[tuple[Peer, ...], list[str]]:
    """Return the peers that can be read, and what is wrong with the others; files are relative to `folder`."""
    problems = [
        f"{name!r:.60}: a name may hold letters, digits, dashes and underscores only"
        for name in section
        if not NAME.match(name)
    ]
    peers, wrong = parse_peers(section, folder)
    return tuple(peers), problems + wrong


def odd_peers(section: str, peers: Iterable[Peer]) -> list[str]:
    """Say which of the peers or servers of a section ask for what this server has not."""
    return [
        f"{section}: {peer.name}: Pkcs11 is not honoured: this server does not read smart cards"
        for peer in peers
        if peer.pkcs11
    ]
