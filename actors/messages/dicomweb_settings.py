"""The section `DicomWeb` of the configuration, as Orthanc's DICOMweb plugin names its members."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from events.options import Boolean, Choice, Kind, Members, Option, Text, Whole

METADATA_MODES: Final = ("Full", "MainDicomTags", "Extrapolate")


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWebSettings:
    """How DICOMweb is served."""

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

    def route(self, below: str) -> str:
        """Return the route of what lies below the root, such as `studies/{study}`."""
        return f"/{self.root.strip('/')}/{below}" if self.root.strip("/") else f"/{below}"


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
    # Numbers of threads of the plugin's own code mean nothing here.
    "MetadataWorkerThreadsCount": ("", Whole(1)),
    "WadoRsLoaderThreadsCount": ("", Whole()),
    "EnablePerformanceLogs": ("", Boolean()),
}

DICOM_WEB: Final = Option(
    "DicomWeb", Members(DicomWebSettings, _MEMBERS), {}, convert=lambda read: read or DicomWebSettings()
)
