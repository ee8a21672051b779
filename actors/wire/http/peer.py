"""An Orthanc peer: another server with Orthanc's REST API that instances are sent to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One entry of `OrthancPeers`, or of `/peers`. Plain values: it can be pickled and sent to another process."""

    name: str  # symbolic: the key of the entry
    url: str  # with the scheme, as a rule; ends with a slash
    username: str = ""
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # sent with each request; may hold a token
    timeout_s: int = 0  # of the longest silence; 0: HttpTimeout
    certificate: Path | None = None  # of ours, PEM; None: peers know us by name and password
    private_key: Path | None = None  # None: it is in the same file
    private_key_password: str = field(default="", repr=False)
    pkcs11: bool = False  # shown, not honoured
    properties: Mapping[str, str] = field(default_factory=dict)  # of plugins, such as RemoteSelf

    @property
    def credentials(self) -> tuple[str, str] | None:
        return (self.username, self.password) if self.username else None


def to_plain(peer: Peer) -> dict[str, Any]:
    """Return a peer as plain values, for messages, settings and events."""
    values = {name: getattr(peer, name) for name in Peer.__dataclass_fields__}
    return values | {name: str(values[name] or "") for name in ("certificate", "private_key")}


def from_plain(values: Mapping[str, Any]) -> Peer:
    """Return the peer behind plain values. Raises TypeError for what is none."""
    paths = {name: Path(values[name]) if values[name] else None for name in ("certificate", "private_key")}
    return Peer(**{**values, **paths})
