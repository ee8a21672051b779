"""Tries out certificates, ciphers and the proxy at the start, so that a bad one is not found only by the first connection."""

from actors.wire.http.settings import HttpClientSettings
from actors.wire.tls import TlsSettings, client_context, server_context
from api.rest.serving.https import HttpsSettings, https_context
from events.errors import BadConfiguration


def try_out(tls: TlsSettings | None, https: HttpsSettings | None, client: HttpClientSettings) -> None:
    """Raise BadConfiguration, which names option and file."""
    what = "DICOM TLS"
    try:
        if tls is not None:
            client_context(tls)
            server_context(tls)
        what = "HTTPS"
        if https is not None:
            https_context(https)
    except BadConfiguration as exc:
        raise BadConfiguration(f"{what}: {exc}") from exc
    if client.proxy or client.ca_certificates is not None:
        _try_client(client)


def _try_client(client: HttpClientSettings) -> None:
    from actors.wire.http.client import UrllibClient

    try:
        UrllibClient(client)
    except OSError as exc:  # that of a file which holds no certificates, too
        raise BadConfiguration(f"HttpsCACertificates: {client.ca_certificates}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise BadConfiguration("HttpProxy must be [http://][user:password@]host:port") from exc
