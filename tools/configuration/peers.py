"""The section `OrthancPeers`, read into one record per peer (`actors.wire.http.peer_description`)."""

from pathlib import Path
from typing import Any, Final

from actors.services.remote.modality import NAME
from actors.wire.http.peer import Peer
from actors.wire.http.peer_description import BadPeer, parse_peer
from events.options import Option, Section

PEERS: Final = Option("OrthancPeers", Section(), {}, is_secret=True)
OPTIONS: Final = (PEERS,)


def read_peers(section: dict[str, Any], folder: Path) -> tuple[tuple[Peer, ...], list[str], list[str]]:
    """Return the peers that can be read, what is wrong with the others, and warnings; files are relative to `folder`."""
    peers: list[Peer] = []
    problems: list[str] = []
    for name, entry in section.items():
        if not NAME.match(name):
            problems.append(f"{name!r:.60}: a name may hold letters, digits, dashes and underscores only")
            continue
        try:
            peers.append(parse_peer(name, entry, folder))
        except BadPeer as exc:
            problems.append(f"{name!r:.60}: {exc}")
    warnings = [
        f"OrthancPeers: {peer.name}: Pkcs11 is not honoured: this server does not read smart cards"
        for peer in peers
        if peer.pkcs11
    ]
    return tuple(peers), problems, warnings
