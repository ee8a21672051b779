"""The HTTP client's part of the configuration, in a module of its own because importing the client takes a fifth of a second."""

from dataclasses import dataclass
from pathlib import Path

from events.options import Boolean, File, Option, Text, Whole, filled_by


def _with_scheme(proxy: str) -> str:
    """Read Orthanc's form, `[user:password@]host:port`."""
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpClientSettings:
    timeout_s: float = filled_by(Option("HttpTimeout", Whole(unit="s"), 60))  # of a silence; 0 is none
    proxy: str = filled_by(Option("HttpProxy", Text(), "", is_secret=True, convert=_with_scheme))
    verify_peers: bool = filled_by(Option("HttpsVerifyPeers", Boolean(), default=True))
    verbose: bool = filled_by(Option("HttpVerbose", Boolean(), default=False))  # each request is logged
    ca_certificates: Path | None = filled_by(Option("HttpsCACertificates", File(), ""))  # None: the system's
