"""An Orthanc peer: another server with Orthanc's REST API that instances are sent to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One entry of `OrthancPeers`. Plain values: it can be pickled and sent to another process."""

    name: str  # symbolic: the key of the entry
    url: str  # with the scheme, ends with a slash
    username: str = ""
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # sent with each request; may hold a token
    timeout_s: int = 0  # of the longest silence; 0: HttpTimeout
    certificate: Path | None = None  # of ours, PEM; None: peers know us by name and password
    private_key: Path | None = None  # None: it is in the same file
    private_key_password: str = field(default="", repr=False)
    properties: Mapping[str, str] = field(default_factory=dict)  # of plugins, such as RemoteSelf

    @property
    def credentials(self) -> tuple[str, str] | None:
        return (self.username, self.password) if self.username else None
