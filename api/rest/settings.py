"""What the REST API needs of the configuration, as one frozen value the composition root fills in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

ORTHANC_VERSION = "1.12.11"  # whose REST API is offered
ORTHANC_API_VERSION = 30  # of that release, as its OpenAPI document reports it
ORTHANC_DATABASE_VERSION = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RestSettings:
    """Options named as in Orthanc's configuration, in snake case; sizes say their unit."""

    sinogram_version: str = "0"
    name: str = "MyOrthanc"
    http_port: int = 8042
    dicom_port: int = 4242
    dicom_aet: str = "ORTHANC"
    database_server_identifier: str = ""

    remote_access_allowed: bool = False
    authentication_enabled: bool = False
    registered_users: Mapping[str, str] = field(default_factory=dict)  # user -> password

    http_describe_errors: bool = True
    http_compression_enabled: bool = False
    http_request_timeout_s: int = 30
    maximum_request_body_size_mb: int = 8192  # 0 = no ceiling
    maximum_file_size_in_archive_mb: int = 4096  # of one inflated file, in a ZIP or a gzip body; 0 = no ceiling
    maximum_archive_size_mb: int = 65_536  # of all files of a ZIP, once inflated; 0 = no ceiling
    temporary_directory: Path = field(default_factory=lambda: Path(gettempdir()))

    # Starting values of what PUT routes change at run time (then in the shared settings, see `api.rest.runtime`).
    default_encoding: str = "Latin1"
    unknown_sop_class_accepted: bool = False
    metrics_enabled: bool = True
    accepted_transfer_syntaxes: tuple[str, ...] = ("1.2.840.10008.1.*",)  # patterns with * and ?
    accepted_sop_classes: tuple[str, ...] = ()  # patterns; empty = all storage classes
    rejected_sop_classes: tuple[str, ...] = ()
    log_levels: Mapping[str, str] = field(default_factory=dict)  # category -> level; what is absent is "default"

    dicom_echo_checks_find: bool = False
    execute_lua_enabled: bool = False
    lua_scripts: tuple[str, ...] = ()  # paths, for `/lua/status`
    execute_lua_timeout_s: float = 330.0  # how long a request to execute a script waits for its end
    log_exported_resources: bool = False

    # Shown by GET /system.
    check_revisions: bool = False
    default_retrieve_method: str = "C-MOVE"
    ingest_transcoding: str = ""
    maximum_patient_count: int = 0
    maximum_storage_mode: str = "Recycle"
    maximum_storage_size_mb: int = 0
    overwrite_instances: bool = False
    patient_level_enabled: bool = True
    read_only: bool = False
    storage_compression: bool = False
    user_metadata: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_http_server_secure(self) -> bool:
        """Whether nobody gets in from elsewhere without a password of the operator's choice, as Orthanc means it."""
        return not self.remote_access_allowed or (self.authentication_enabled and bool(self.registered_users))
