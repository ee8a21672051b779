"""What the HTTP client is told by the configuration; apart from it, for importing that takes a fifth of a second."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpClientSettings:
    timeout_s: float = 60.0  # HttpTimeout: of a silence; 0 is none
    proxy: str = field(default="", repr=False)  # HttpProxy: http://[user:password@]host:port
    verify_peers: bool = True  # HttpsVerifyPeers
    verbose: bool = False  # HttpVerbose: each request is logged
    ca_certificates: Path | None = None  # HttpsCACertificates; None: the system's
