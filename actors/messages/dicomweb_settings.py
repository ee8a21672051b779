"""The section `DicomWeb` of the configuration, as Orthanc's DICOMweb plugin names its members."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from actors.wire.http.peer import Peer
from actors.wire.http.peer_description import parse_peers
from events.options import Boolean, Choice, Kind, Members, Option, Plain, Text, Whole

METADATA_MODES: Final = ("Full", "MainDicomTags", "Extrapolate")


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebSettings:
    """How DICOMweb is served, and which other servers are asked by it."""

    is_enabled: bool = True
    root: str = "/dicom-web/"
    public_root: str = ""  # the root in the addresses of answers; empty: as `root`
    serves_wado_uri: bool = True
    wado_root: str = "/wado"
    is_https: bool = False  # in the addresses of answers, where no proxy says what clients use
    host: str = ""  # likewise; empty: as the request names it
    qido_case_sensitive: bool = False
    studies_metadata: str = "Full"
    series_metadata: str = "Full"
    caches_metadata: bool = True
    servers: tuple[Peer, ...] = field(default=(), repr=False)  # with their secrets
    servers_in_database: bool = False
    stow_max_instances: int = 10  # in one request to another server; 0: as many as one may have
    stow_max_bytes: int = 10 << 20  # likewise, of their files together; 0: what one may have

    @property
    def has_root(self) -> bool:
        """Whether the root is a folder of its own."""
        return bool(self.root.strip("/"))

    def is_below_root(self, path: str) -> bool:
        """Tell whether a path is the root's or below it, where that is a folder of its own."""
        return self.is_enabled and self.has_root and f"{path}/".startswith(self.route(""))

    def route(self, below: str) -> str:
        """Return the route of what lies below the root, such as `studies/{study}`."""
        return f"/{self.root.strip('/')}/{below}" if self.root.strip("/") else f"/{below}"


class _Servers(Plain):
    """A JSON object of servers by name, each in a form that `actors.wire.http.peer_description` reads."""

    words = "object"

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return "must be an object"
        return "; ".join(parse_peers(value, Path())[1]) or None

    def read(self, value: Mapping[str, Any], folder: Path) -> tuple[Peer, ...]:
        return tuple(parse_peers(value, folder)[0])


_MEMBERS: Final[Mapping[str, tuple[str, Kind]]] = {
    "Enable": ("is_enabled", Boolean()),
    "Root": ("root", Text()),
    "PublicRoot": ("public_root", Text()),
    "EnableWado": ("serves_wado_uri", Boolean()),
    "WadoRoot": ("wado_root", Text()),
    "Ssl": ("is_https", Boolean()),
    "Host": ("host", Text()),
    "QidoCaseSensitive": ("qido_case_sensitive", Boolean()),
    "StudiesMetadata": ("studies_metadata", Choice(METADATA_MODES)),
    "SeriesMetadata": ("series_metadata", Choice(METADATA_MODES)),
    "EnableMetadataCache": ("caches_metadata", Boolean()),
    "Servers": ("servers", _Servers()),
    "ServersInDatabase": ("servers_in_database", Boolean()),
    "StowMaxInstances": ("stow_max_instances", Whole()),
    "StowMaxSize": ("stow_max_bytes", Whole(unit="MB", factor=1 << 20)),
    # Numbers of threads of the plugin's own code mean nothing here.
    "MetadataWorkerThreadsCount": ("", Whole(1)),
    "WadoRsLoaderThreadsCount": ("", Whole()),
    "EnablePerformanceLogs": ("", Boolean()),
}

DICOM_WEB: Final = Option(
    "DicomWeb", Members(DicomWebSettings, _MEMBERS), {}, convert=lambda read: read or DicomWebSettings()
)
