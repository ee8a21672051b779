"""Options of the processes and their sockets, and those of which several make one setting."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from actors.services.remote.modality import Operation
from api.rest.serving.https import HttpsSettings
from api.rest.settings import REMOTE_ACCESS_ALLOWED, RestSettings
from events.options import Boolean, File, Option, Texts, Whole, filled_by, same_as
from tools.configuration.values import Values

MOST_GATEWAYS: Final = 4  # of those started without being asked for


def _or_by_processors(gateways: int) -> int:
    return gateways or max(1, min(MOST_GATEWAYS, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningSettings:
    """Where clients are served, and by how many."""

    gateways: int = filled_by(Option("GatewayProcesses", Whole(0, 64), 0, convert=_or_by_processors))
    http_enabled: bool = filled_by(Option("HttpServerEnabled", Boolean(), default=True))
    # Never empty: loopback unless remote access is allowed.
    http_addresses: tuple[str, ...] = filled_by(Option("HttpBindAddresses", Texts(), []))
    http_port: int = same_as(RestSettings, "http_port")
    http_threads: int = filled_by(Option("HttpThreadsCount", Whole(1, 10_000), 50))
    # 0, which is KeepAlive false: a connection serves one request.
    keep_alive_s: int = filled_by(Option("KeepAliveTimeout", Whole(1, unit="s"), 1))
    tcp_no_delay: bool = filled_by(Option("TcpNoDelay", Boolean(), default=True))
    https: HttpsSettings | None = None
    dicom_enabled: bool = filled_by(Option("DicomServerEnabled", Boolean(), default=True))
    dicom_port: int = same_as(RestSettings, "dicom_port")
    modalities_in_database: bool = filled_by(Option("DicomModalitiesInDatabase", Boolean(), default=False))
    peers_in_database: bool = filled_by(Option("OrthancPeersInDatabase", Boolean(), default=False))
    query_retrieve_size: int = filled_by(Option("QueryRetrieveSize", Whole(1), 100))


ALWAYS_ALLOWED: Final[Mapping[Operation, Option]] = {
    operation: Option(f"DicomAlwaysAllow{operation.value}", Boolean(), default=is_allowed)
    for operation, is_allowed in (
        (Operation.ECHO, True),
        (Operation.STORE, True),
        (Operation.FIND, False),
        (Operation.FIND_WORKLIST, False),
        (Operation.GET, False),
        (Operation.MOVE, False),
    )
}

STORAGE_DIRECTORY: Final = Option("StorageDirectory", File(), "SinogramStorage")  # Orthanc: "OrthancStorage"
INDEX_DIRECTORY: Final = Option("IndexDirectory", File())  # else that of the files
TEMPORARY_DIRECTORY: Final = Option("TemporaryDirectory", File())  # else the system's
KEEP_ALIVE: Final = Option("KeepAlive", Boolean(), default=True)
AUTHENTICATION_ENABLED: Final = Option("AuthenticationEnabled", Boolean())  # else what RemoteAccessAllowed says
REJECT_SOP_CLASSES: Final = Option("RejectSopClasses", Texts(), [])  # the misspelling that Orthanc reads
SSL_ENABLED: Final = Option("SslEnabled", Boolean(), default=False)
SSL_VERIFY_PEERS: Final = Option("SslVerifyPeers", Boolean(), default=False)
SSL_TRUSTED: Final = Option("SslTrustedClientCertificates", File(), "trustedClientCertificates.pem")
OPTIONS: Final = (
    *(SSL_ENABLED, SSL_VERIFY_PEERS, SSL_TRUSTED),
    *(STORAGE_DIRECTORY, INDEX_DIRECTORY, TEMPORARY_DIRECTORY),
    *(KEEP_ALIVE, AUTHENTICATION_ENABLED, REJECT_SOP_CLASSES),
    *ALWAYS_ALLOWED.values(),
)


def is_authentication_enabled(values: Values) -> bool:
    remote, authentication = values.value(REMOTE_ACCESS_ALLOWED), values.value(AUTHENTICATION_ENABLED)
    return bool(remote if authentication is None else authentication)


def combined(values: Values) -> dict[str, Any]:
    """Return the fields of `ListeningSettings` that several options make."""
    plain = values.fill(ListeningSettings)
    everywhere = ("0.0.0.0",) if values.value(REMOTE_ACCESS_ALLOWED) else ("127.0.0.1",)  # noqa: S104
    return {
        "http_addresses": plain.http_addresses or everywhere,
        "keep_alive_s": plain.keep_alive_s if values.value(KEEP_ALIVE) else 0,
        "https": _https(values) if values.value(SSL_ENABLED) else None,
    }


def _https(values: Values) -> HttpsSettings:
    return values.fill(HttpsSettings, trusted=values.value(SSL_TRUSTED) if values.value(SSL_VERIFY_PEERS) else None)


def https_problems(given: Mapping[str, Any], origin: Mapping[str, Path]) -> list[str]:
    """Say which files are named by an empty text: without the trusted certificates every client would be let in."""
    if not given.get(SSL_ENABLED.name):
        return []
    needed = ("SslCertificate", *((SSL_TRUSTED.name,) if given.get(SSL_VERIFY_PEERS.name) else ()))
    return [f"{origin[name]}: {name}: must name a file" for name in needed if given.get(name) == ""]


def read_listening(values: Values) -> ListeningSettings:
    return values.fill(ListeningSettings, **combined(values))
