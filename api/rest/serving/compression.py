"""`HttpCompressionEnabled`: text of some length leaves compressed for a client that takes it.

Source: observed on Orthanc 1.12.7, which compresses JSON, text, HTML and scripts of more than 2,000 bytes, prefers gzip, and takes deflate as zlib
writes it. It leaves DICOM, images and archives as they are, and so do we. Beyond it, qualities are understood (RFC 9110 §12.5.3).
"""

import gzip
import zlib
from collections.abc import Iterable
from typing import Any, Final

from api.rest.serving.front import Application, Headers, StartResponse

COMPRESSES: Final = "sinogram.compresses"  # key of the WSGI environment: answers to this client may be compressed
LEAST_BYTES: Final = 2048
LEVEL: Final = 6  # of zlib; 1 MB of JSON takes 10 ms
_TYPES: Final = ("text/", "application/json", "application/xml", "application/dicom+", "application/javascript")


class Compression:
    """Stands in front of an application. Thread-safe."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        started: list[Any] = []
        environ[COMPRESSES] = True

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            started[:] = [status, headers, exc_info]

        parts = self._application(environ, start)
        status, headers, exc_info = started
        if isinstance(parts, list | tuple) and _is_text(headers):
            body = b"".join(parts)
            headers.append(("Vary", "Accept-Encoding"))
            coding = choose(environ.get("HTTP_ACCEPT_ENCODING", ""))
            if coding is not None and len(body) >= LEAST_BYTES:
                body = _compress(body, coding)
                headers = [_of_coded(*pair) for pair in headers if pair[0].lower() != "content-length"]
                headers += [("Content-Encoding", coding), ("Content-Length", str(len(body)))]
            parts = [body]
        start_response(status, headers, exc_info)
        return parts


def _of_coded(name: str, value: str) -> tuple[str, str]:
    """Return a header of what is compressed now: a strong tag vouches for the very bytes (RFC 9110 §8.8.3.3)."""
    return (name, f"W/{value}") if name.lower() == "etag" and not value.startswith("W/") else (name, value)


def choose(accepted: str) -> str | None:
    """Return the coding for an Accept-Encoding, None for the body as it is."""
    names = {name for name, quality in map(_read, accepted.split(",")) if quality > 0}
    return next((coding for coding in ("gzip", "deflate") if coding in names), None)


def _read(item: str) -> tuple[str, float]:
    name, _, parameters = item.partition(";")
    key, _, value = parameters.partition("=")
    try:
        quality = float(value) if key.strip().lower() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return name.strip().lower(), quality


def _is_text(headers: Headers) -> bool:
    given = {name.lower(): value for name, value in headers}
    is_part = "content-range" in given  # whose place is that in the text as it is
    return given.get("content-type", "").startswith(_TYPES) and "content-encoding" not in given and not is_part


def _compress(body: bytes, coding: str) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0) if coding == "gzip" else zlib.compress(body, LEVEL)
