"""Where a running server listens, as whom to ask it and how to know it: for commands that are its clients."""

import base64
import ssl
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from events.errors import BadConfiguration, InvalidRequest

DEFAULT_URL: Final = "http://127.0.0.1:8042"
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"


class ServerAddress:
    """One server."""

    def __init__(self, url: str, user: tuple[str, str] | None = None, certificate: Path | None = None) -> None:
        """`certificate` (PEM) is the one that the server is known by, whatever name stands in it; without it those of
        authorities count that this machine trusts. Raises InvalidRequest, BadConfiguration.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidRequest(f"{url} is not the address of a server, such as {DEFAULT_URL}")
        if parts.username and user is None:
            user = (parts.username, parts.password or "")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.path = parts.path.rstrip("/")
        self.url = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "") + self.path
        self.user = user
        self._host, self._port = parts.hostname, parts.port
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context() if certificate is None else _known_by(certificate)

    def headers(self) -> dict[str, str]:
        """Return what says who asks."""
        if self.user is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(self.user).encode()).decode()}

    def connect(self, timeout_s: float, **options: Any) -> HTTPConnection:
        """Return a connection, which is opened when it is used."""
        if self._tls is not None:
            return HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls, **options)
        return HTTPConnection(self._host, self._port, timeout=timeout_s, **options)


def read_address(
    configuration: Sequence[Path], url: str | None, user: tuple[str, str] | None, certificate: Path | None = None
) -> ServerAddress:
    """Return the address: what is given, else that of the configuration, if there is one. Raises BadConfiguration, InvalidRequest.

    Of `RegisteredUsers` the first is taken. The server is known by its `SslCertificate`, unless another address is given: there
    may be a proxy.
    """
    if not configuration:
        return ServerAddress(url or DEFAULT_URL, user, certificate)
    from api.rest.settings import REGISTERED_USERS
    from tools.configuration import load
    from tools.configuration.server import is_authentication_enabled, read_listening

    values = load(configuration)
    http = read_listening(values)
    if not http.http_enabled:
        raise BadConfiguration("HttpServerEnabled is false: such a server cannot be asked")
    if user is None and is_authentication_enabled(values):
        user = next(iter(values.value(REGISTERED_USERS).items()), None)
    if url is None and http.https is not None:
        certificate = certificate or http.https.certificate
    host = http.http_addresses[0]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # all interfaces
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return ServerAddress(url or f"{'https' if http.https else 'http'}://{shown}:{http.http_port}", user, certificate)


def explain(error: Exception) -> str:
    """Say in words why a server cannot be asked."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; --config or --certificate says which to believe"
        )
    return str(error) or type(error).__name__


def _known_by(certificate: Path) -> ssl.SSLContext:
    """Trust one certificate, the first of a PEM file: those behind it may have signed others'."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it is the certificate that counts; it may name no host, or another
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # by whom it was signed does not matter
    try:
        text = certificate.read_text("ascii", "replace")
        start = text.index(_BEGIN)
        context.load_verify_locations(cadata=text[start : text.index(_END, start)] + _END + "\n")
    except OSError as exc:
        raise BadConfiguration(f"the certificate {certificate} cannot be read: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise BadConfiguration(f"{certificate} holds no certificate in PEM") from exc
    return context
