"""The addresses that answers hold, such as RetrieveURL (PS3.18 §10.6.3.3): as the client, or the proxy that it asks, names this server.

In this order: the options `Host` and `Ssl`; the header `Forwarded` (RFC 7239); `X-Forwarded-Host` and `X-Forwarded-Proto`, if both are there;
the request's own `Host`. Below a proxy's path the option `PublicRoot` names the root. Source: observed on Orthanc's plugin 1.20, which
leaves the marks of a quoted host and the hosts of further proxies in the address.
"""

import re
from typing import Final
from urllib.parse import quote

import falcon

from actors.messages.dicomweb_settings import DicomWebSettings
from api.rest.settings import RestSettings

_HOST: Final = re.compile(r"[A-Za-z0-9._~%-]+(?::\d{1,5})?\Z|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?\Z")
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)\s*=\s*("[^"]*"|[^";,\s]*)\s*(;|,|\Z)')
_SCHEMES: Final = frozenset({"http", "https"})
_LEVELS: Final = ("studies", "series", "instances")


def base_url(req: falcon.Request, settings: RestSettings) -> str:
    """Return the root of DICOMweb as addresses in the answer to a request begin, such as `https://host/dicom-web`."""
    web = settings.dicom_web
    scheme = "https" if web.is_https or req.env["wsgi.url_scheme"] == "https" else "http"
    host = req.env.get("HTTP_HOST", "")
    if web.host:
        host = web.host
    elif forwarded := _forwarded(req.env.get("HTTP_FORWARDED", "")):
        host, scheme = _host(forwarded.get("host", ""), host), _scheme(forwarded.get("proto", ""), scheme)
    elif (by_host := _first(req, "HOST")) and (by_scheme := _first(req, "PROTO")):
        host, scheme = _host(by_host, host), _scheme(by_scheme, scheme)
    return f"{scheme}://{host if _HOST.match(host) else f'localhost:{settings.http_port}'}{_path(web)}"


def resource_url(base: str, *uids: str) -> str:
    """Return the address of a study, of a series or of an instance, by their UIDs from the study down."""
    return base + "".join(f"/{level}/{quote(uid, safe='')}" for level, uid in zip(_LEVELS, uids, strict=False))


def _path(web: DicomWebSettings) -> str:
    root = (web.public_root or web.root).strip("/")
    return f"/{root}" if root else ""


def _forwarded(header: str) -> dict[str, str]:
    """Return what the first proxy tells, the one that the client asks."""
    told, place = {}, 0
    while (pair := _PAIR.match(header, place)) is not None:
        told[pair[1].lower()] = pair[2].strip('"')
        place = pair.end()
        if pair[3] != ";":
            break
    return told


def _first(req: falcon.Request, name: str) -> str:
    text: str = req.env.get(f"HTTP_X_FORWARDED_{name}", "")
    return text.partition(",")[0].strip()


def _host(told: str, otherwise: str) -> str:
    return told if _HOST.match(told) else otherwise


def _scheme(told: str, otherwise: str) -> str:
    return told.lower() if told.lower() in _SCHEMES else otherwise
