"""The REST API's part of the configuration, as one frozen value that the composition root fills in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from actors.core.index.settings import StorageLimits
from actors.messages.dicomweb_settings import DICOM_WEB, DicomWebSettings
from actors.messages.worklist_settings import WorklistSettings
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.target import ScuSettings
from actors.services.scripts.settings import LuaSettings
from api.dicom.settings import DicomSettings, FindSettings
from api.rest.serving.cors_settings import CorsSettings
from api.rest.serving.folder_settings import SERVE_FOLDERS, FolderSettings
from events.attachments import ContentType
from events.identifiers import Level
from events.numbered_names import ContentTypes, MetadataNames
from events.options import Boolean, Choice, Option, Text, Texts, Users, Whole, filled_by, same_as

ORTHANC_VERSION = "1.12.11"  # whose REST API is offered
ORTHANC_API_VERSION = 30  # of that release, as its OpenAPI document reports it
ORTHANC_DATABASE_VERSION = 6

MOST_LOADERS: Final = 4  # threads of one archive that nobody has asked for

EVERYBODY: Final = "*"  # in place of a user: whoever is admitted

REMOTE_ACCESS_ALLOWED: Final = Option("RemoteAccessAllowed", Boolean(), default=False)
REGISTERED_USERS: Final = Option("RegisteredUsers", Users(), {}, is_secret=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestSettings:
    """Options named as in Orthanc's configuration, in snake case; sizes say their unit."""

    sinogram_version: str = "0"
    name: str = filled_by(Option("Name", Text(), "MyOrthanc"))
    http_port: int = filled_by(Option("HttpPort", Whole(0, 65535), 8042))
    dicom_port: int = filled_by(Option("DicomPort", Whole(0, 65535), 4242))
    dicom_aet: str = same_as(ScuSettings, "aet")
    database_server_identifier: str = ""

    remote_access_allowed: bool = filled_by(REMOTE_ACCESS_ALLOWED)
    authentication_enabled: bool = False
    registered_users: Mapping[str, str] = filled_by(REGISTERED_USERS)  # user -> password

    http_describe_errors: bool = filled_by(Option("HttpDescribeErrors", Boolean(), default=True))
    http_compression_enabled: bool = filled_by(Option("HttpCompressionEnabled", Boolean(), default=False))
    http_request_timeout_s: int = filled_by(Option("HttpRequestTimeout", Whole(1, unit="s"), 30))
    max_event_streams: int = filled_by(
        Option("MaxEventStreams", Whole(0, 65535), 256)
    )  # of the whole server, long polls among them
    event_values_users: tuple[str, ...] = filled_by(Option("EventValuesUsers", Texts(), [EVERYBODY]))
    # Sizes: 0 is no ceiling. Of one inflated file, in a ZIP or a gzip body; of all files of a ZIP, once inflated.
    maximum_request_body_size_mb: int = filled_by(Option("MaximumRequestBodySizeMB", Whole(unit="MB"), 8192))
    maximum_file_size_in_archive_mb: int = filled_by(Option("MaximumFileSizeInArchiveMB", Whole(unit="MB"), 4096))
    maximum_archive_size_mb: int = filled_by(Option("MaximumArchiveSizeMB", Whole(unit="MB"), 65_536))
    temporary_directory: Path = field(default_factory=lambda: Path(gettempdir()))

    synchronous_zip_stream: bool = filled_by(Option("SynchronousZipStream", Boolean(), default=True))
    media_archive_size: int = filled_by(Option("MediaArchiveSize", Whole(1), 1))  # outputs of jobs that are kept
    zip_use_utf8: bool = filled_by(Option("ZipUseUtf8", Boolean(), default=False))
    # Of each archive; 0: the number of the older name, and where that is 0, too, as many as there are processors, 4 at most.
    loader_threads: int = filled_by(Option("LoaderThreads", Whole(0, 64), 0))
    zip_loader_threads: int = filled_by(Option("ZipLoaderThreads", Whole(0, 64), 0))

    # Starting values of what PUT routes change at run time (then in the shared settings, see `api.rest.runtime`).
    default_encoding: str = same_as(IngestSettings, "default_encoding")
    unknown_sop_class_accepted: bool = same_as(DicomSettings, "unknown_sop_class_accepted")
    metrics_enabled: bool = filled_by(Option("MetricsEnabled", Boolean(), default=True))
    accepted_transfer_syntaxes: tuple[str, ...] = same_as(DicomSettings, "accepted_transfer_syntaxes")
    accepted_sop_classes: tuple[str, ...] = same_as(DicomSettings, "accepted_sop_classes")
    rejected_sop_classes: tuple[str, ...] = same_as(DicomSettings, "rejected_sop_classes")
    log_levels: Mapping[str, str] = field(default_factory=dict)  # category -> level; what is absent is "default"

    dicom_echo_checks_find: bool = filled_by(Option("DicomEchoChecksFind", Boolean(), default=False))
    execute_lua_enabled: bool = same_as(LuaSettings, "execute_enabled")
    lua_scripts: tuple[str, ...] = ()  # paths, for `/lua/status`
    execute_lua_timeout_s: float = 330.0  # how long a request to execute a script waits for its end
    log_exported_resources: bool = filled_by(Option("LogExportedResources", Boolean(), default=False))

    # Answers of a first page of /tools/find; 0: all.
    limit_find_results: int = same_as(FindSettings, "limit_results")
    limit_find_instances: int = same_as(FindSettings, "limit_instances")
    write_to_file_system_enabled: bool = filled_by(Option("RestApiWriteToFileSystemEnabled", Boolean(), default=False))
    default_private_creator: str = filled_by(Option("DefaultPrivateCreator", Text(), ""))

    # Shown by GET /system.
    check_revisions: bool = filled_by(Option("CheckRevisions", Boolean(), default=False))
    default_retrieve_method: str = filled_by(
        Option("DicomDefaultRetrieveMethod", Choice(("C-MOVE", "C-GET")), "C-MOVE")
    )
    ingest_transcoding: str = same_as(IngestSettings, "transcodes_to")
    maximum_patient_count: int = same_as(StorageLimits, "patients")
    maximum_storage_mode: str = same_as(StorageLimits, "mode")
    maximum_storage_size_mb: int = same_as(StorageLimits, "size_mb")
    overwrite_instances: str = same_as(IngestSettings, "overwrite")
    explorer_enabled: bool = filled_by(Option("OrthancExplorerEnabled", Boolean(), default=True))
    patient_level_enabled: bool = filled_by(Option("PatientLevelEnabled", Boolean(), default=True))
    read_only: bool = same_as(IngestSettings, "read_only")
    worklists: WorklistSettings = same_as(DicomSettings, "worklists")
    dicom_web: DicomWebSettings = filled_by(DICOM_WEB)
    serve_folders: FolderSettings = filled_by(SERVE_FOLDERS)
    cors: CorsSettings = field(default_factory=CorsSettings)
    extra_main_tags: Mapping[Level, tuple[int, ...]] = field(default_factory=dict)
    storage_compression: bool = False
    reads_files: bool = same_as(FindSettings, "reads_files")  # for requested tags
    warnings: frozenset[str] = same_as(FindSettings, "warnings")
    user_metadata: Mapping[str, int] = filled_by(Option("UserMetadata", MetadataNames(), {}))
    user_content_type: Mapping[str, ContentType] = filled_by(Option("UserContentType", ContentTypes(), {}))

    @property
    def archive_threads(self) -> int:
        """How many threads read and compress the members of one archive."""
        return self.loader_threads or self.zip_loader_threads or min(os.cpu_count() or 1, MOST_LOADERS)

    @property
    def is_http_server_secure(self) -> bool:
        """Whether every remote client needs a password that the operator has chosen, in Orthanc's sense."""
        return not self.remote_access_allowed or (self.authentication_enabled and bool(self.registered_users))
