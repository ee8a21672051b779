"""From the configuration to what each part of the server needs; the one place that knows both sides."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir

from actors.core.index.settings import StorageLimits
from actors.core.jobs.settings import SchedulerSettings
from actors.services.codecs.limits import CodecSettings
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.answer_limits import AnswerLimits
from actors.services.remote.target import ScuSettings
from actors.services.scripts.settings import PATIENCE_S, LuaSettings
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.tls import TlsSettings
from api.dicom.settings import DicomSettings, FindSettings
from api.rest.serving.cors_settings import CorsSettings
from api.rest.settings import RestSettings
from events.identifiers import format_resource_id, hash_resource_id
from store.dicom.additions import Additions, set_additions
from store.dicom.limits import Limits, set_limits
from store.dicom.syntax import transfer_syntaxes
from tools.configuration import Configuration
from tools.configuration.dicom_tls import ENABLED as DICOM_TLS_ENABLED
from tools.configuration.dicom_tls import read_tls
from tools.configuration.lua import read_lua
from tools.configuration.server import (
    ALWAYS_ALLOWED,
    INDEX_DIRECTORY,
    REJECT_SOP_CLASSES,
    STORAGE_DIRECTORY,
    TEMPORARY_DIRECTORY,
    ListeningSettings,
    combined,
    is_authentication_enabled,
)
from tools.configuration.transfer_syntaxes import TRANSFER_SYNTAX_SWITCHES, accepted
from tools.configuration.trial import try_out
from tools.core_settings import CoreSettings
from tools.server import logging_setup
from tools.server.logging_setup import LogOptions

_DAY_S = 86_400.0
MOST_WORKERS = 4  # processes; beyond that each carries out several jobs at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(ListeningSettings):
    """Everything the processes of one server are told; pickled from the supervisor to its children."""

    core: CoreSettings
    rest: RestSettings
    dicom: DicomSettings
    scu: ScuSettings
    answer_limits: AnswerLimits
    ingest: IngestSettings
    codecs: CodecSettings
    limits: Limits
    dictionary: Additions
    lua: LuaSettings
    http_client: HttpClientSettings
    peers: tuple[Peer, ...]
    log: LogOptions

    @property
    def index_directory(self) -> Path:
        return self.core.index_directory

    @property
    def storage_directory(self) -> Path:
        return self.core.storage_directory

    def worker_slots(self) -> list[int]:
        """Return for each worker process how many jobs it may carry out at once."""
        limit = self.core.jobs.concurrent_jobs
        processes = min(limit, MOST_WORKERS)
        return [limit // processes + (number < limit % processes) for number in range(processes)]

    def set_up_logging(self, process: str) -> None:
        logging_setup.configure(self.log, process)

    def set_up_reading(self) -> None:
        """Let this process read files as it is configured."""
        set_limits(self.limits)
        set_additions(self.dictionary)

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
    fill, value = configuration.fill, configuration.value
    tls, lua = read_tls(configuration), read_lua(configuration, configuration.scripts)
    storage = value(STORAGE_DIRECTORY) or configuration.folder(STORAGE_DIRECTORY.name)
    scratch = value(TEMPORARY_DIRECTORY) or Path(gettempdir())
    settings = fill(
        ServerSettings,
        **combined(configuration),
        core=fill(
            CoreSettings,
            index_directory=value(INDEX_DIRECTORY) or storage,
            storage_directory=storage,
            limits=fill(StorageLimits),
            jobs=fill(SchedulerSettings),
            extra_main_tags=configuration.tags.extra_main_tags,
            lua_is_on=lua.has_main,
        ),
        rest=_rest(configuration, lua, scratch, log),
        dicom=_dicom(configuration, tls),
        scu=fill(ScuSettings, tls=tls),
        answer_limits=fill(AnswerLimits),
        ingest=fill(IngestSettings, extra_main_tags=configuration.tags.extra_main_tags),
        codecs=fill(CodecSettings, scratch=scratch),
        limits=fill(Limits, folder=str(scratch)),
        dictionary=configuration.tags.additions,
        lua=lua,
        http_client=fill(HttpClientSettings),
        peers=configuration.peers,
        log=log,
    )
    try_out(tls, settings.https, settings.http_client)
    return settings


def _rest(configuration: Configuration, lua: LuaSettings, scratch: Path, log: LogOptions) -> RestSettings:
    plain = configuration.fill(RestSettings, cors=configuration.fill(CorsSettings))
    return replace(
        plain,
        extra_main_tags=configuration.tags.extra_main_tags,
        sinogram_version=version("sinogram"),
        database_server_identifier=_server_identifier(plain),
        authentication_enabled=is_authentication_enabled(configuration),
        temporary_directory=scratch,
        accepted_transfer_syntaxes=_accepted_transfer_syntaxes(configuration, plain.accepted_transfer_syntaxes),
        rejected_sop_classes=plain.rejected_sop_classes or configuration.value(REJECT_SOP_CLASSES),
        log_levels={category: log.level_of(category) for category in logging_setup.CATEGORIES},
        lua_scripts=tuple(str(script) for script in lua.scripts),
        execute_lua_timeout_s=PATIENCE_S + (lua.limits.timeout_s or _DAY_S),
    )


def _server_identifier(rest: RestSettings) -> str:
    """Identify this server as Orthanc does: a SHA-1 shown like a resource's identifier, here over AET and ports."""
    return format_resource_id(hash_resource_id(rest.dicom_aet, str(rest.dicom_port), str(rest.http_port)))


def _accepted_transfer_syntaxes(configuration: Configuration, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns as they stand, or what is left of all known syntaxes where single groups are switched."""
    switches = {name: on for name in TRANSFER_SYNTAX_SWITCHES if (on := configuration.given.get(name)) is not None}
    return accepted(sorted(transfer_syntaxes()), patterns, switches) if switches else patterns


def _dicom(configuration: Configuration, tls: TlsSettings | None) -> DicomSettings:
    plain = configuration.fill(DicomSettings)
    always = {operation for operation, option in ALWAYS_ALLOWED.items() if configuration.value(option)}
    return replace(
        plain,
        accepted_transfer_syntaxes=_accepted_transfer_syntaxes(configuration, plain.accepted_transfer_syntaxes),
        rejected_sop_classes=plain.rejected_sop_classes or configuration.value(REJECT_SOP_CLASSES),
        modalities=configuration.modalities,
        always_allowed=frozenset(always),
        tls=tls if configuration.value(DICOM_TLS_ENABLED) else None,
        find=configuration.fill(FindSettings),
    )
