"""From the configuration to what each part of the server needs; the one place that knows both sides."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from actors.core.jobs.settings import SchedulerSettings
from actors.services.codecs.limits import CodecSettings
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.answer_limits import AnswerLimits
from actors.services.remote.modality import Operation
from actors.services.remote.target import ScuSettings
from actors.services.scripts.settings import PATIENCE_S, LuaSettings
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from api.dicom.settings import DicomSettings, FindSettings
from api.rest.https import HttpsSettings
from api.rest.settings import RestSettings
from events.identifiers import format_resource_id, hash_resource_id
from store.dicom.limits import Limits, set_limits
from store.dicom.syntax import transfer_syntaxes
from tools.configuration import Configuration
from tools.core_settings import CoreSettings
from tools.dicom_tls import check_tls
from tools.http_client import check_http_client
from tools.https import check_https
from tools.server import logging_setup
from tools.server.logging_setup import LogOptions

_DAY_S = 86_400.0
MOST_WORKERS = 4  # processes; beyond that each carries out several jobs at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything the processes of one server are told; pickled from the supervisor to its children."""

    index_directory: Path
    storage_directory: Path
    stable_age_s: float
    scrub_bytes_per_s: int
    jobs: SchedulerSettings
    gateways: int
    http_enabled: bool
    http_addresses: tuple[str, ...]
    http_port: int
    http_threads: int
    keep_alive_s: int  # 0: a connection serves one request
    tcp_no_delay: bool
    https: HttpsSettings | None
    dicom_enabled: bool
    dicom_port: int
    rest: RestSettings
    dicom: DicomSettings
    scu: ScuSettings
    modalities_in_database: bool
    query_retrieve_size: int
    answer_limits: AnswerLimits
    ingest: IngestSettings
    codecs: CodecSettings
    limits: Limits
    lua: LuaSettings
    http_client: HttpClientSettings
    peers: tuple[Peer, ...]
    log: LogOptions

    def core(self) -> CoreSettings:
        return CoreSettings(
            index_directory=self.index_directory,
            storage_directory=self.storage_directory,
            stable_age_s=self.stable_age_s,
            scrub_bytes_per_s=self.scrub_bytes_per_s,
            read_only=self.rest.read_only,
            jobs=self.jobs,
            lua_is_on=self.lua.has_main,
        )

    def worker_slots(self) -> list[int]:
        """Return for each worker process how many jobs it may carry out at once."""
        limit = self.jobs.concurrent_jobs
        processes = min(limit, MOST_WORKERS)
        return [limit // processes + (number < limit % processes) for number in range(processes)]

    def set_up_logging(self, process: str) -> None:
        logging_setup.configure(self.log, process)

    def set_up_limits(self) -> None:
        set_limits(self.limits)

    def greeting(self) -> list[str]:
        """What an operator reads when the server is up."""
        lines = [f"Sinogram {self.rest.sinogram_version} is ready; its data is in {self.storage_directory}"]
        if self.http_enabled:
            host = "localhost" if self.http_addresses[0] in {"127.0.0.1", "0.0.0.0", "::"} else self.http_addresses[0]  # noqa: S104
            url = f"{'https' if self.https else 'http'}://{host}:{self.http_port}"
            lines.append(f"  REST   {url}    try: curl {url}/changes")
        if self.dicom_enabled:
            aet, port = self.dicom.aet, self.dicom_port
            lines.append(
                f"  DICOM  {aet} on port {port}    send a first image: storescu -aec {aet} localhost {port} IMAGE"
            )
        return lines


def server_settings(configuration: Configuration, log: LogOptions) -> ServerSettings:
    """Fill in the settings of every part. Raises: BadConfiguration for certificates that cannot be used."""
    storage, http, dicom = configuration.storage, configuration.http, configuration.dicom
    check_tls(dicom.tls)
    check_https(http.https)
    check_http_client(configuration.http_client)
    return ServerSettings(
        index_directory=storage.index_directory,
        storage_directory=storage.storage_directory,
        stable_age_s=float(storage.stable_age_s),
        scrub_bytes_per_s=configuration.value("StorageScrubRateMB") * 1_000_000,
        jobs=SchedulerSettings(
            concurrent_jobs=configuration.value("ConcurrentJobs") or os.cpu_count() or 1,
            history_size=configuration.value("JobsHistorySize"),
            save_jobs=configuration.value("SaveJobs"),
        ),
        gateways=configuration.gateway_processes,
        http_enabled=http.enabled,
        http_addresses=http.bind_addresses,
        http_port=http.port,
        http_threads=http.threads,
        keep_alive_s=http.keep_alive_s,
        tcp_no_delay=configuration.value("TcpNoDelay"),
        https=http.https,
        dicom_enabled=dicom.enabled,
        dicom_port=dicom.port,
        rest=_rest(configuration, log),
        dicom=_dicom(configuration),
        scu=_scu(configuration),
        modalities_in_database=configuration.value("DicomModalitiesInDatabase"),
        query_retrieve_size=configuration.value("QueryRetrieveSize"),
        answer_limits=AnswerLimits(
            query_bytes=configuration.value("MaximumQueryAnswersSizeMB") << 20,
            folder_bytes=configuration.value("MaximumQueryFolderSizeMB") << 20,
        ),
        limits=Limits(
            inflated_bytes=configuration.value("MaximumInflatedSizeMB") << 20,
            elements=configuration.value("MaximumDatasetElements"),
            folder=str(storage.temporary_directory),
        ),
        ingest=IngestSettings(
            default_encoding=dicom.default_encoding,
            sync=storage.sync,
            hash=storage.store_md5,
            read_only=configuration.value("ReadOnly"),
        ),
        codecs=CodecSettings(
            processes=configuration.value("CodecProcesses"),
            memory_mb=configuration.value("CodecMemory"),
            processor_s=configuration.value("CodecProcessorTime"),
            timeout_s=configuration.value("CodecTimeout"),
            scratch=storage.temporary_directory,
        ),
        lua=configuration.lua,
        http_client=configuration.http_client,
        peers=configuration.peers,
        log=log,
    )


def _rest(configuration: Configuration, log: LogOptions) -> RestSettings:
    http, dicom = configuration.http, configuration.dicom
    return RestSettings(
        sinogram_version=version("sinogram"),
        name=configuration.name,
        http_port=http.port,
        dicom_port=dicom.port,
        dicom_aet=dicom.aet,
        database_server_identifier=_server_identifier(configuration),
        remote_access_allowed=http.remote_access_allowed,
        authentication_enabled=http.authentication_enabled,
        registered_users=http.registered_users,
        http_describe_errors=http.describe_errors,
        http_compression_enabled=configuration.value("HttpCompressionEnabled"),
        http_request_timeout_s=http.request_timeout_s,
        maximum_request_body_size_mb=http.maximum_request_body_size_mb,
        maximum_file_size_in_archive_mb=http.maximum_file_size_in_archive_mb,
        maximum_archive_size_mb=http.maximum_archive_size_mb,
        temporary_directory=configuration.storage.temporary_directory,
        default_encoding=dicom.default_encoding,
        unknown_sop_class_accepted=dicom.unknown_sop_class_accepted,
        metrics_enabled=configuration.value("MetricsEnabled"),
        accepted_transfer_syntaxes=_accepted_transfer_syntaxes(configuration),
        accepted_sop_classes=dicom.accepted_sop_classes,
        rejected_sop_classes=dicom.rejected_sop_classes,
        log_levels={category: log.level_of(category) for category in logging_setup.CATEGORIES},
        dicom_echo_checks_find=configuration.value("DicomEchoChecksFind"),
        execute_lua_enabled=configuration.lua.execute_enabled,
        lua_scripts=tuple(str(script) for script in configuration.lua.scripts),
        execute_lua_timeout_s=PATIENCE_S + (configuration.lua.limits.timeout_s or _DAY_S),
        log_exported_resources=configuration.value("LogExportedResources"),
        default_retrieve_method=configuration.value("DicomDefaultRetrieveMethod"),
        read_only=configuration.value("ReadOnly"),
    )


def _server_identifier(configuration: Configuration) -> str:
    """Identify this server as Orthanc does: a SHA-1 shown like a resource's identifier, here over AET and ports."""
    parts = (configuration.dicom.aet, str(configuration.dicom.port), str(configuration.http.port))
    return format_resource_id(hash_resource_id(*parts))


def _accepted_transfer_syntaxes(configuration: Configuration) -> tuple[str, ...]:
    """Return the patterns as they stand, or what is left of all known syntaxes where single groups are switched."""
    dicom = configuration.dicom
    if not dicom.transfer_syntax_switches:
        return dicom.accepted_transfer_syntaxes
    return dicom.accepted_of(sorted(transfer_syntaxes()))


def _dicom(configuration: Configuration) -> DicomSettings:
    dicom = configuration.dicom
    always = {
        Operation.ECHO: dicom.always_allow_echo,
        Operation.STORE: dicom.always_allow_store,
        Operation.FIND: dicom.always_allow_find,
        Operation.FIND_WORKLIST: dicom.always_allow_find_worklist,
        Operation.GET: dicom.always_allow_get,
        Operation.MOVE: dicom.always_allow_move,
    }
    return DicomSettings(
        aet=dicom.aet,
        check_called_aet=dicom.check_called_aet,
        strict_aet_comparison=dicom.strict_aet_comparison,
        accepted_transfer_syntaxes=_accepted_transfer_syntaxes(configuration),
        unknown_sop_class_accepted=dicom.unknown_sop_class_accepted,
        accepted_sop_classes=dicom.accepted_sop_classes,
        rejected_sop_classes=dicom.rejected_sop_classes,
        modalities=dicom.modalities,
        always_allowed=frozenset(operation for operation, allowed in always.items() if allowed),
        check_modality_host=dicom.check_modality_host,
        scp_timeout_s=dicom.scp_timeout_s,
        maximum_pdu_length=dicom.maximum_pdu_length,
        tls=dicom.tls if dicom.tls_enabled else None,
        find=_find(configuration),
        deidentify_logs=configuration.value("DeidentifyLogs"),
        synchronous_move=configuration.value("SynchronousCMove"),
        threads_count=dicom.threads,
        maximum_associations=configuration.value("DicomMaximumAssociations"),
    )


def _scu(configuration: Configuration) -> ScuSettings:
    return ScuSettings(
        aet=configuration.dicom.aet,
        timeout_s=configuration.value("DicomScuTimeout"),
        tls=configuration.dicom.tls,
        maximum_pdu_length=configuration.dicom.maximum_pdu_length,
        close_delay_s=configuration.value("DicomAssociationCloseDelay"),
        transcode=configuration.value("TranscodeDicomProtocol"),
        preferred_transfer_syntax=configuration.value("DicomScuPreferredTransferSyntax"),
    )


def _find(configuration: Configuration) -> FindSettings:
    return FindSettings(
        default_encoding=configuration.dicom.default_encoding,
        case_sensitive_pn=configuration.value("CaseSensitivePN"),
        limit_results=configuration.value("LimitFindResults"),
        limit_instances=configuration.value("LimitFindInstances"),
        reads_files=configuration.value("StorageAccessOnFind") != "Never",
    )
