"""The server's configuration: Orthanc's files, checked against the table in `tools.options`, as frozen typed values.

Several files and folders may be given. A folder stands for the `.json` files directly in it, in the order of their
names. An option may stand in one file only: two files that both have it stop the start, even if they agree. Relative
paths are relative to the folder of the file they stand in, and to the working directory if there is no file at all.
Every problem of every file is reported at once. What is merely odd becomes a line of `Configuration.warnings`, which
whoever starts the server logs once.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

from actors.services.remote.modality import Modality
from actors.services.scripts.settings import LuaSettings
from actors.wire.http.peer import Peer
from actors.wire.http.settings import HttpClientSettings
from actors.wire.tls import TlsSettings
from api.rest.https import HttpsSettings
from events.errors import BadConfiguration
from tools import dialect
from tools.dicom_tls import read_tls, tls_problems
from tools.http_client import read_http_client
from tools.https import read_https
from tools.lua_settings import list_scripts, read_lua
from tools.modalities import read_modalities
from tools.options import ENCODINGS, OPTIONS, PLUGIN_SECTIONS, PROTECTING, suggestion
from tools.peers import read_peers
from tools.transfer_syntaxes import TRANSFER_SYNTAX_SWITCHES, accepted

MOST_GATEWAYS: Final = 4  # of those started without being asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    storage_directory: Path
    index_directory: Path
    temporary_directory: Path
    stable_age_s: int
    store_md5: bool
    sync: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    enabled: bool
    port: int
    bind_addresses: tuple[str, ...]  # never empty: loopback unless remote access is allowed
    remote_access_allowed: bool
    authentication_enabled: bool
    registered_users: Mapping[str, str] = field(repr=False)  # user -> password
    describe_errors: bool
    keep_alive_s: int  # 0: a connection serves one request
    https: HttpsSettings | None
    threads: int
    request_timeout_s: int
    maximum_request_body_size_mb: int  # 0 = no ceiling
    maximum_file_size_in_archive_mb: int  # 0 = no ceiling
    maximum_archive_size_mb: int  # 0 = no ceiling


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomOptions:
    enabled: bool
    aet: str
    port: int
    check_called_aet: bool
    strict_aet_comparison: bool
    default_encoding: str  # one of `ENCODINGS`
    accepted_transfer_syntaxes: tuple[str, ...]  # patterns with * and ?
    transfer_syntax_switches: Mapping[str, bool]  # those given, by their option's name
    unknown_sop_class_accepted: bool
    accepted_sop_classes: tuple[str, ...]  # patterns; empty = all storage classes
    rejected_sop_classes: tuple[str, ...]  # patterns
    scp_timeout_s: int  # 0 = none
    threads: int
    maximum_pdu_length: int
    always_allow_echo: bool
    always_allow_store: bool
    always_allow_find: bool
    always_allow_find_worklist: bool
    always_allow_get: bool
    always_allow_move: bool
    check_modality_host: bool
    modalities: tuple[Modality, ...]
    tls_enabled: bool  # as a server
    tls: TlsSettings | None  # for both directions

    def accepted_of(self, known: Iterable[str]) -> tuple[str, ...]:
        """Choose the accepted ones from `known` transfer syntaxes."""
        return accepted(known, self.accepted_transfer_syntaxes, self.transfer_syntax_switches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything a start of the server depends on. Plain values: it can be pickled and sent to another process."""

    name: str
    storage: StorageOptions
    http: HttpOptions
    dicom: DicomOptions
    http_client: HttpClientSettings
    peers: tuple[Peer, ...]
    lua: LuaSettings
    deidentify_logs: bool
    gateway_processes: int  # ≥ 1
    sources: tuple[Path, ...]  # files read, in their order; empty: the embedded default
    warnings: tuple[str, ...]
    given: Mapping[str, Any] = field(repr=False)  # options as they stand in the files (JSON values; holds secrets)

    def value(self, option: str) -> Any:
        """Return an option as JSON gave it, or its default. Raises: KeyError for a name the table does not have."""
        return self.given.get(option, OPTIONS[option].default)


def load(paths: Sequence[Path] = (), environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read files and folders into one configuration; none at all gives the embedded default.

    Raises: BadConfiguration, which lists every problem found, one a line.
    """
    found = {path: _files(path) for path in paths}
    files = [file for path in paths for file in found[path]]
    given: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    warnings = [f"{path}: a folder without a .json file" for path in paths if not found[path]]
    problems: list[str] = []
    for file in files:
        values, notes = dialect.read(file, environment)
        warnings += notes
        problems += [f"{file}: {name}: stands in {origin[name]} too" for name in values if name in origin]
        given |= values
        origin |= dict.fromkeys(values, file)
    base = Path.cwd() if not paths else paths[0] if paths[0].is_dir() else paths[0].parent
    folders: dict[str | None, Path] = {None: base.resolve()}
    folders |= {name: file.parent.resolve() for name, file in origin.items()}
    problems += [
        f"{origin[name]}: {name}: {reason}"
        for name, value in given.items()
        if name in OPTIONS and (reason := OPTIONS[name].problem(value))
    ]
    if not problems:
        modalities, wrong, notes = read_modalities(given.get("DicomModalities", {}))
        problems += [f"{origin['DicomModalities']}: DicomModalities: {reason}" for reason in wrong]
        peers, wrong, more = read_peers(given.get("OrthancPeers", {}), folders.get("OrthancPeers", folders[None]))
        problems += [f"{origin['OrthancPeers']}: OrthancPeers: {reason}" for reason in wrong]
        notes += more
        problems += _contradictions(given, origin)
        problems += tls_problems(given, origin)
        scripts, wrong = list_scripts(_texts(given.get("LuaScripts")), folders.get("LuaScripts", folders[None]))
        problems += [f"{origin['LuaScripts']}: LuaScripts: {reason}" for reason in wrong]
        warnings += notes
    if problems:
        raise BadConfiguration("\n".join(problems))
    warnings += _notices(given, origin)
    return _typed(given, tuple(files), warnings, modalities, peers, folders, scripts)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() == ".json" and file.is_file())
    if not path.exists():
        raise BadConfiguration(f"{path}: does not exist")
    return [path]


def _contradictions(given: Mapping[str, Any], origin: Mapping[str, Path]) -> list[str]:
    problems = []
    remote = given.get("RemoteAccessAllowed", False)
    if remote and given.get("AuthenticationEnabled", True) and not given.get("RegisteredUsers"):
        reason = "must name a user, for remote access is allowed with authentication"
        problems.append(f"{origin['RemoteAccessAllowed']}: RegisteredUsers: {reason}")
    for name in sorted(given.keys() & PROTECTING):
        if not OPTIONS[name].honoured and OPTIONS[name].differs(given[name]):
            reason = "protects the archive, and this release cannot keep it yet; without it the server starts"
            problems.append(f"{origin[name]}: {name}: {reason}")
    if "RejectSopClasses" in given and "RejectedSopClasses" in given:
        problems.append(f"{origin['RejectSopClasses']}: RejectSopClasses: RejectedSopClasses is there too")
    return problems


def _notices(given: Mapping[str, Any], origin: Mapping[str, Path]) -> list[str]:
    """Say once what has no effect and what is unsafe."""
    notices = []
    for name in given:
        if name not in OPTIONS and name not in PLUGIN_SECTIONS:
            meant = suggestion(name)
            hint = f" (did you mean {meant}?)" if meant else ""
            notices.append(f"{origin[name]}: {name}: unknown option, ignored{hint}")
    if plugins := sorted(name for name in given if name in PLUGIN_SECTIONS):
        notices.append(f"sections of plugins, ignored: {', '.join(plugins)}")
    later = [n for n, v in given.items() if (row := OPTIONS.get(n)) and row.status == "later" and row.differs(v)]
    if later:
        notices.append(f"options this release does not honour yet: {', '.join(sorted(later))}")
    if given.get("RemoteAccessAllowed") and not given.get("AuthenticationEnabled", True):
        notices.append("remote access is allowed without authentication: anybody can read and delete everything")
    elif given.get("AuthenticationEnabled") and not given.get("RegisteredUsers"):
        notices.append("authentication is enabled and no user is registered: nobody can use the REST API")
    return notices


def _texts(found: Any) -> tuple[str, ...]:
    """Return what an option holds that is a text or a list of texts."""
    return (found,) if isinstance(found, str) else tuple(found or ())


def _typed(
    given: Mapping[str, Any],
    sources: tuple[Path, ...],
    warnings: list[str],
    modalities: tuple[Modality, ...],
    peers: tuple[Peer, ...],
    folders: Mapping[str | None, Path],  # option -> folder of its file; None -> that of options in no file
    scripts: Sequence[Path],
) -> Configuration:
    def value(name: str) -> Any:
        return given.get(name, OPTIONS[name].default)

    def texts(name: str) -> tuple[str, ...]:
        return _texts(value(name))

    def folder(name: str, otherwise: str) -> Path:
        return folders.get(name, folders[None]) / (value(name) or otherwise)

    storage_directory = folder("StorageDirectory", ".")
    remote = value("RemoteAccessAllowed")
    authentication = value("AuthenticationEnabled")
    encoding = value("DefaultEncoding").casefold()
    return Configuration(
        name=value("Name"),
        storage=StorageOptions(
            storage_directory=storage_directory,
            index_directory=folder("IndexDirectory", str(storage_directory)),
            temporary_directory=folder("TemporaryDirectory", gettempdir()),
            stable_age_s=value("StableAge"),
            store_md5=value("StoreMD5ForAttachments"),
            sync=value("SyncStorageArea"),
        ),
        http=HttpOptions(
            enabled=value("HttpServerEnabled"),
            port=value("HttpPort"),
            bind_addresses=texts("HttpBindAddresses") or (("0.0.0.0",) if remote else ("127.0.0.1",)),  # noqa: S104
            remote_access_allowed=remote,
            authentication_enabled=remote if authentication is None else authentication,
            registered_users=value("RegisteredUsers"),
            describe_errors=value("HttpDescribeErrors"),
            keep_alive_s=value("KeepAliveTimeout") if value("KeepAlive") else 0,
            https=read_https(value, texts, lambda name: folders.get(name, folders[None]) / value(name)),
            threads=value("HttpThreadsCount"),
            request_timeout_s=value("HttpRequestTimeout"),
            maximum_request_body_size_mb=value("MaximumRequestBodySizeMB"),
            maximum_file_size_in_archive_mb=value("MaximumFileSizeInArchiveMB"),
            maximum_archive_size_mb=value("MaximumArchiveSizeMB"),
        ),
        dicom=DicomOptions(
            enabled=value("DicomServerEnabled"),
            aet=value("DicomAet").strip(),
            port=value("DicomPort"),
            check_called_aet=value("DicomCheckCalledAet"),
            strict_aet_comparison=value("StrictAetComparison"),
            default_encoding=next(known for known in ENCODINGS if known.casefold() == encoding),
            accepted_transfer_syntaxes=texts("AcceptedTransferSyntaxes"),
            transfer_syntax_switches={name: given[name] for name in TRANSFER_SYNTAX_SWITCHES if name in given},
            unknown_sop_class_accepted=value("UnknownSopClassAccepted"),
            accepted_sop_classes=texts("AcceptedSopClasses"),
            rejected_sop_classes=texts("RejectedSopClasses") or texts("RejectSopClasses"),
            scp_timeout_s=value("DicomScpTimeout"),
            threads=value("DicomThreadsCount"),
            maximum_pdu_length=value("MaximumPduLength"),
            always_allow_echo=value("DicomAlwaysAllowEcho"),
            always_allow_store=value("DicomAlwaysAllowStore"),
            always_allow_find=value("DicomAlwaysAllowFind"),
            always_allow_find_worklist=value("DicomAlwaysAllowFindWorklist"),
            always_allow_get=value("DicomAlwaysAllowGet"),
            always_allow_move=value("DicomAlwaysAllowMove"),
            check_modality_host=value("DicomCheckModalityHost"),
            modalities=modalities,
            tls_enabled=value("DicomTlsEnabled"),
            tls=read_tls(value, texts, lambda name: folders[name] / value(name)),
        ),
        peers=peers,
        http_client=read_http_client(value, lambda name: folders[name] / value(name)),
        lua=read_lua(value, scripts, given),
        deidentify_logs=value("DeidentifyLogs"),
        gateway_processes=value("GatewayProcesses") or max(1, min(MOST_GATEWAYS, os.cpu_count() or 1)),
        sources=sources,
        warnings=tuple(warnings),
        given=given,
    )
